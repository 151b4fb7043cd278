/** docs/devices.md and its Chinese twin: the commands they print work, and both READMEs say the same things. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { runProgram } from '../clients/programs.ts';
import { startService, type Service } from '../support/service.ts';
import { calls, FakeUpstream } from '../support/upstream.ts';
import { missingShell } from './documents.ts';

const read = (name: string): string => readFileSync(join(import.meta.dirname, '../..', name), 'utf8');
const blocksOf = (text: string): readonly string[] =>
  [...text.matchAll(/^```\w*\n([\s\S]+?)\n```$/gm)].map(([, block = '']) => block);

let upstream: FakeUpstream;
let service: Service;
let noShell: string | null;

beforeAll(async () => {
  upstream = await FakeUpstream.start();
  // The model of the examples: it looks, asks for the time, and otherwise answers.
  upstream.reply(({ body: { tools }, outputs }) => {
    const names = JSON.stringify(tools ?? []);
    if (names.includes('take_a_photo')) return calls([{ name: 'take_a_photo', arguments: {} }]);
    if (!names.includes('clock') || outputs.length > 0) return undefined;
    return calls([{ name: 'clock', arguments: { timezone: 'Asia/Shanghai' } }]);
  });
  const env = { SECRET: 'a secret of the operator' };
  service = await startService({ redisUrl: inject('redisUrl'), upstream, env });
  noShell = await missingShell();
});

afterAll(async () => {
  await service?.stop();
  await upstream?.stop();
});

const commands = blocksOf(read('docs/devices.md')).filter((block) => block.startsWith('curl '));

describe('a command of docs/devices.md', () => {
  test('is there for the assistant and for each device', () => {
    expect(commands).toHaveLength(5);
  });

  // In their order: the first makes the assistant that the others ask.
  test.for(commands.map((command) => [/:8080(\S+)/.exec(command)?.[1] ?? '', command] as const))(
    'that asks %s works',
    async ([, command], context) => {
      if (noShell !== null) return context.skip(noShell);
      const ended = await runProgram('bash', ['-c', command.replaceAll('http://HOST:8080', service.url)]);
      expect(ended.code).toBe(0);
      expect(ended.stdout).toMatch(/^(data: )?\{/);
      expect(ended.stdout).not.toContain('"error');
    },
  );
});

describe('README.zh-CN.md', () => {
  const english = read('README.md');
  const chinese = read('README.zh-CN.md');
  const headingsOf = (text: string): readonly string[] =>
    [...text.matchAll(/^(#+) /gm)].map(([, level = '']) => level);

  test('has the chapters of README.md, and the devices’ besides', () => {
    expect(headingsOf(chinese).filter((level) => level !== '####')).toEqual(headingsOf(english));
    for (const device of ['闪极拍拍镜', '声网 Agora', 'Lang Agent', '华为 Agent API']) {
      expect(chinese).toContain(`\n#### ${device}\n`);
    }
  });

  test('prints every command and example of README.md', () => {
    const withoutComments = (block: string): string =>
      block.replaceAll(/\s+#.*$/gm, '').replaceAll(/<[^>]+>/g, '');
    const printed = blocksOf(chinese).map(withoutComments);
    for (const block of blocksOf(english)) expect(printed).toContain(withoutComments(block));
  });

  test('prints every command of docs/devices.md, but for the words in it', () => {
    const words = /"(content|query|description|instructions|city)": ?"[^"]*"/g;
    const shape = (block: string): string => block.replaceAll(words, '"$1": ""');
    const printed = blocksOf(chinese).map(shape);
    for (const command of commands) expect(printed).toContain(shape(command));
  });
});

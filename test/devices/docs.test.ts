/** docs/devices.md and its Chinese twin: the commands they print work, and both READMEs say the same things. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { startDemoModel, type DemoModel } from '../../src/model/demo.ts';
import { runProgram } from '../clients/programs.ts';
import { startService, type Service } from '../support/service.ts';
import { missingShell } from './documents.ts';

const read = (name: string): string => readFileSync(join(import.meta.dirname, '../..', name), 'utf8');
const blocksOf = (text: string): readonly string[] =>
  [...text.matchAll(/^```\w*\n([\s\S]+?)\n```$/gm)].map(([, block = '']) => block);

const DEMO_KEY = 'key-of-the-demo-model';
/** What the text promises of an answer, by path: the shapes, not the words of a model. */
const PROMISED: Readonly<Record<string, readonly string[]>> = {
  '/custom_agent/chat': ['"name":"take_a_photo"', '"finish_reason":"tool_calls"'],
  '/chat/completions': ['"object":"chat.completion.chunk"', '"finish_reason":"stop"', 'data: [DONE]'],
  '/v1/chat/completions': ['"object":"chat.completion"', '"finish_reason":"stop"'],
  '/v1/routes/open/host/execute': [
    '"type":"agent_start"',
    '"name":"clock","status":"success"',
    '"type":"end"',
  ],
};

let demo: DemoModel;
let service: Service;
let noShell: string | null;

beforeAll(async () => {
  // As on a default start: the demo model looks, asks for the time, and otherwise answers.
  demo = await startDemoModel({ port: 0, host: '127.0.0.1', apiKey: DEMO_KEY });
  const env = { SECRET: 'a secret of the operator', OPENAI_API_KEY: DEMO_KEY };
  service = await startService({ redisUrl: inject('redisUrl'), upstream: { baseUrl: demo.url }, env });
  noShell = await missingShell();
});

afterAll(async () => {
  await service?.stop();
  await demo?.stop();
});

const commands = blocksOf(read('docs/devices.md')).filter((block) => block.startsWith('curl '));

describe('a command of docs/devices.md', () => {
  test('is there for the assistant and for each device', () => {
    expect(commands).toHaveLength(5);
  });

  // In their order: the first makes the assistant that the others ask.
  test.for(commands.map((command) => [/:8080(\S+)/.exec(command)?.[1] ?? '', command] as const))(
    'that asks %s works',
    async ([path, command], context) => {
      if (noShell !== null) return context.skip(noShell);
      const ended = await runProgram('bash', ['-c', command.replaceAll('http://HOST:8080', service.url)]);
      expect(ended.code).toBe(0);
      expect(ended.stdout).toMatch(/^(data: )?\{/);
      expect(ended.stdout).not.toContain('"error');
      for (const part of PROMISED[path] ?? []) expect(ended.stdout).toContain(part);
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

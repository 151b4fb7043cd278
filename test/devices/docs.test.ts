/** Both READMEs say the same things, and the Chinese one what docs/devices.md says. That it works is played in test/docs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { blocksOf, REPOSITORY } from '../docs/blocks.ts';

const read = (name: string): string => readFileSync(join(REPOSITORY, name), 'utf8');
const examplesOf = (document: string): readonly string[] => blocksOf(document).map(({ text }) => text);

const commands = examplesOf('docs/devices.md').filter((block) => block.startsWith('curl '));

test('docs/devices.md has a command for the assistant and for each device', () => {
  expect(commands).toHaveLength(5);
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
    const printed = examplesOf('README.zh-CN.md').map(withoutComments);
    for (const block of examplesOf('README.md')) expect(printed).toContain(withoutComments(block));
  });

  test('prints every command of docs/devices.md, but for the words in it', () => {
    const words = /"(content|query|description|instructions|city)": ?"[^"]*"/g;
    const shape = (block: string): string => block.replaceAll(words, '"$1": ""');
    const printed = examplesOf('README.zh-CN.md').map(shape);
    for (const command of commands) expect(printed).toContain(shape(command));
  });
});

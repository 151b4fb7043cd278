/** The Chinese documents say what the English ones say. That their examples work is played in test/docs. */
import { describe, expect, test } from 'vitest';
import { blocksOf, DOCUMENTS, proseOf } from '../docs/blocks.ts';

const CHINESE = '.zh-CN.md';
const TWINS = DOCUMENTS.filter((name) => name.endsWith(CHINESE)).map(
  (chinese) => [chinese.replace(CHINESE, '.md'), chinese] as const,
);

const examplesOf = (document: string): readonly string[] => blocksOf(document).map(({ text }) => text);
const commandsOf = (document: string): readonly string[] =>
  examplesOf(document).filter((block) => block.startsWith('curl '));

/** Its headings with their levels, rows of tables and items of lists, in their order: `# ## | | | ## - -`. */
const outlineOf = (document: string): string =>
  [...proseOf(document).matchAll(/^ *(#+ |\||- )/gm)].map(([, mark = '']) => mark.trim()).join(' ');
/** Where its links lead, but for headings, whose names differ. */
const linksOf = (document: string): readonly string[] =>
  [...proseOf(document).matchAll(/\]\(([^)#]*)/g)]
    .map(([, path = '']) => path.replace('.zh-CN.', '.'))
    .toSorted();

/** An example without its comments, the names to be filled in, and the words that are said. */
const skeletonOf = (block: string): string =>
  block
    .replaceAll(/\s+#.*$/gm, '')
    .replaceAll(/<[^>]+>/g, '')
    .replaceAll(/"(content|query|description|instructions|city)": ?"[^"]*"/g, '"$1": ""');

test('README and docs/devices.md have a Chinese twin', () => {
  expect(TWINS.map(([english]) => english).toSorted()).toEqual(['README.md', 'docs/devices.md']);
});

test('docs/devices.md has a command for the assistant and for each device', () => {
  expect(commandsOf('docs/devices.md')).toHaveLength(5);
});

test('docs/devices.zh-CN.md has a chapter for each device', () => {
  for (const device of ['闪极拍拍镜', '声网 Agora', 'Lang Agent', '华为 Agent API'])
    expect(proseOf('docs/devices.zh-CN.md')).toContain(`\n## ${device}\n`);
});

describe.each(TWINS)('%s and %s', (english, chinese) => {
  test('have the same chapters, tables and lists', () => {
    expect(outlineOf(english)).toMatch(/^#(.* ##){5}/);
    expect(outlineOf(chinese)).toBe(outlineOf(english));
  });

  test('lead to the same documents', () => {
    expect(linksOf(english).length).toBeGreaterThan(10);
    expect(linksOf(chinese)).toEqual(linksOf(english));
  });

  test('print the same commands, but for the words in them', () => {
    expect(commandsOf(chinese).map(skeletonOf)).toEqual(commandsOf(english).map(skeletonOf));
  });

  test('print examples of the same kind, in the same order', () => {
    const kindOf = (block: string): string => /^\S+/.exec(block)?.[0] ?? '';
    expect(examplesOf(chinese).map(kindOf)).toEqual(examplesOf(english).map(kindOf));
  });
});

test('README.zh-CN.md prints every example of README.md as it is there', () => {
  const withoutComments = (block: string): string =>
    block.replaceAll(/\s+#.*$/gm, '').replaceAll(/<[^>]+>/g, '');
  expect(examplesOf('README.zh-CN.md').map(withoutComments)).toEqual(
    examplesOf('README.md').map(withoutComments),
  );
});

/** Links of README, docs, AGENTS.md and CHANGELOG.md lead to files, and to headings in them, that are there. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { DOCUMENTS, proseOf, REPOSITORY } from './blocks.ts';

/** The names by which headings are linked to, as GitHub makes them. */
const headingsOf = (document: string): readonly string[] =>
  [...proseOf(document).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );

const linksOf = (document: string): readonly string[] =>
  [...proseOf(document).matchAll(/\]\(([^)]+)\)/g)]
    .map(([, link = '']) => link)
    .filter((link) => !/^https?:/.test(link));

/** Whether a link of the document leads somewhere. */
function leads(document: string, link: string): boolean {
  const [path = '', heading] = link.split('#');
  const target = path === '' ? document : join(dirname(document), path);
  if (!existsSync(join(REPOSITORY, target))) return false;
  return heading === undefined || headingsOf(target).includes(heading);
}

test.for([...DOCUMENTS, 'AGENTS.md', 'CHANGELOG.md'])('%s has no link that leads nowhere', (document) => {
  expect(linksOf(document).filter((link) => !leads(document, link))).toEqual([]);
});

test('a link that leads nowhere is found', () => {
  expect(leads('docs/azure.md', 'configuration.md#model-servers')).toBe(true);
  expect(leads('docs/azure.md', 'configuration.md#no-such-heading')).toBe(false);
  expect(leads('docs/azure.md', '../no-such-file.md')).toBe(false);
});

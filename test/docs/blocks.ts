/** The examples of README and docs: every fenced block, as it stands. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const REPOSITORY = join(import.meta.dirname, '../..');

/** What people read to use Longrun; the decisions are for those who change it. */
export const DOCUMENTS: readonly string[] = [
  'README.md',
  'README.zh-CN.md',
  ...readdirSync(join(REPOSITORY, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

export interface Block {
  readonly text: string;
  /** Where the reader finds it. */
  readonly line: number;
}

/**
 * The blocks of a document, in order.
 * @throws when a fence is left over: then there is a block that nobody would check.
 */
export function blocksOf(document: string): readonly Block[] {
  const text = readFileSync(join(REPOSITORY, document), 'utf8');
  const blocks = [...text.matchAll(/^```\w*\n([\s\S]*?)\n```$/gm)];
  const fences = text.match(/^[\s>]*(```|~~~)/gm) ?? [];
  if (fences.length !== 2 * blocks.length) throw new Error(`${document} has a block of another form`);
  return blocks.map(({ index, 1: block = '' }) => ({
    text: block,
    line: text.slice(0, index).split('\n').length,
  }));
}

/** A document without its examples. */
export function proseOf(document: string): string {
  return readFileSync(join(REPOSITORY, document), 'utf8').replaceAll(/^```[^]*?^```$/gm, '');
}

/** The lines of a block of commands, without comments, with those that go on joined. */
export function commandsIn({ text }: Block): readonly string[] {
  return text
    .split(/\n(?=[a-zA-Z])/)
    .map((command) => command.replaceAll(/\s+#.*$/gm, '').trim())
    .filter((command) => command !== '');
}

/**
 * Reads a document and writes its chunks to a file, a line of JSON for each. It is loaded by the processes of tools, which
 * are ended when they take too much memory or time, and is no tool: it lies in no folder of tools.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { z } from 'zod';
import { defineTool } from '../runs/tool.ts';
import { chunksOf } from './chunks.ts';
import { textOfFile } from './read-text.ts';
import { DocumentRefusal } from './refusal.ts';

/** The longest name that errors repeat. */
const MAX_NAME_CHARACTERS = 100;
/** How much is written at once. */
const WRITTEN_CHARACTERS = 1_000_000;

export default defineTool({
  name: 'read_document',
  description: 'Reads the text of a document and cuts it into chunks.',
  parameters: z.object({
    path: z.string(),
    name: z.string(),
    output: z.string(),
    sizes: z.object({ max_chunk_size_tokens: z.number(), chunk_overlap_tokens: z.number() }),
  }),
  timeoutMs: 60_000,
  run: async ({ path, name, output, sizes }) => {
    try {
      const text = await textOfFile(path, name);
      return { type: 'read', chunks: write(output, chunksOf(text, sizes)) };
    } catch (error) {
      if (!(error instanceof DocumentRefusal)) throw error;
      const { code, message } = error;
      return { type: 'refused', error: { code, message: `${shown(name)} ${message}` } };
    }
  },
});

function write(path: string, chunks: Iterable<object>): number {
  const file = openSync(path, 'w', 0o600);
  try {
    let count = 0;
    let waiting = '';
    for (const chunk of chunks) {
      waiting += `${JSON.stringify(chunk)}\n`;
      count += 1;
      if (waiting.length < WRITTEN_CHARACTERS) continue;
      writeAll(file, waiting);
      waiting = '';
    }
    writeAll(file, waiting);
    return count;
  } finally {
    closeSync(file);
  }
}

function writeAll(file: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) rest = rest.subarray(writeSync(file, rest));
}

function shown(name: string): string {
  const line = name
    .replaceAll(/[\p{Cc}\p{Cf}]/gu, '')
    .slice(0, MAX_NAME_CHARACTERS)
    .toWellFormed();
  return line === '' ? 'The file' : line;
}

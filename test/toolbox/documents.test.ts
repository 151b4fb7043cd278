/** Documents that are read in the processes of tools: what comes out, and what becomes of those that would harm them. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DocumentOutcome } from '../../src/runs/document.ts';
import { AUTO_CHUNKING, type ChunkText } from '../../src/runs/vector-store.ts';
import { documentReader } from '../../src/toolbox/documents.ts';
import { ToolPool } from '../../src/toolbox/pool.ts';
import { docxOf, pdfOf, pdfOfStreams, wordXml, zipOf } from '../documents/made.ts';

const log = pino({ level: 'silent' });
const folder = mkdtempSync(join(tmpdir(), 'longrun-read-'));
const pool = new ToolPool({
  processes: 1,
  env: { PATH: process.env['PATH'] ?? '' },
  allowedTo: () => [],
  log,
});
const readDocument = documentReader(pool, log);
const never = new AbortController().signal;
afterAll(async () => {
  await pool.close();
  rmSync(folder, { recursive: true, force: true });
});

let made = 0;
async function read(name: string, content: string | Uint8Array, signal = never): Promise<DocumentOutcome> {
  made += 1;
  const path = join(folder, `${made}`);
  writeFileSync(path, content, { mode: 0o600 });
  return readDocument({ path, name }, AUTO_CHUNKING.static, signal);
}

async function chunksIn(outcome: DocumentOutcome): Promise<readonly ChunkText[]> {
  if (outcome.type !== 'read') throw new Error(outcome.error.message);
  const groups = await Array.fromAsync(outcome.groups());
  for (const group of groups) expect(group.length).toBeLessThanOrEqual(64);
  expect(groups.flat()).toHaveLength(outcome.chunks);
  return groups.flat();
}

/** The code and the words of a refusal. */
function refusalIn(outcome: DocumentOutcome): string {
  return outcome.type === 'read' ? 'not refused' : `${outcome.error.code}: ${outcome.error.message}`;
}

/** A PDF of a few kilobytes whose page becomes gigabytes. */
function pdfBomb(): Buffer {
  const inner = deflateSync(Buffer.alloc(256 * 1024 * 1024, 'q Q '));
  const bytes = deflateSync(deflateSync(inner));
  return pdfOfStreams([{ bytes, filter: '[/FlateDecode /FlateDecode /FlateDecode]' }]);
}

describe('documents in processes', () => {
  beforeAll(async () => void (await read('warm.txt', 'warm')));

  test('come out as chunks, for their owner only', async () => {
    expect(await chunksIn(await read('a.txt', 'Some text.\n\nMore of it.'))).toEqual([
      { text: 'Some text.\n\nMore of it.' },
    ]);
    expect(statSync(join(folder, `${made}.chunks`)).mode & 0o777).toBe(0o600);
    const [chunk] = await chunksIn(await read('a.docx', docxOf(['支持退款政策'])));
    expect(chunk?.text).toBe('支持退款政策');
    expect(chunk?.words).toContain(' 退款 ');
    expect((await chunksIn(await read('a.pdf', pdfOf(['in a PDF']))))[0]?.text).toBe('in a PDF');
    const long = Array.from({ length: 20_000 }, (_, index) => `Sentence number ${index}.`).join('\n');
    expect((await chunksIn(await read('a.txt', long))).length).toBeGreaterThan(200);
  });

  test('are refused by name, in words for their owner', async () => {
    const scan = await read('scan\n.png', Buffer.from('\u0089PNG\r\n', 'latin1'));
    expect(refusalIn(scan)).toMatch(/^unsupported_file: scan\.png is a picture, so no text/);
  });

  test('harm nobody when they take too much memory', async () => {
    const bomb = await read('bomb.pdf', pdfBomb());
    expect(refusalIn(bomb)).toMatch(/^invalid_file: bomb\.pdf could not be read within 60 s and 512 MB/);
    const packed = zipOf([{ name: 'word/document.xml', content: wordXml('<w:p/>'.repeat(20_000_000)) }]);
    expect(refusalIn(await read('bomb.docx', packed))).toMatch(/^invalid_file: bomb\.docx holds more than/);
    expect((await chunksIn(await read('a.pdf', pdfOf(['still there']))))[0]?.text).toBe('still there');
  });

  test('are given up when nobody waits for them', async () => {
    const gone = new AbortController();
    const reading = read('a.pdf', pdfBomb(), gone.signal);
    gone.abort(new Error('cancelled'));
    await expect(reading).rejects.toThrow('cancelled');
  });

  test('that the disk does not give are not refused, but tried again by who asked', async () => {
    const missing = readDocument(
      { path: join(folder, 'missing'), name: 'a.txt' },
      AUTO_CHUNKING.static,
      never,
    );
    await expect(missing).rejects.toThrow(/ENOENT/);
  });
});

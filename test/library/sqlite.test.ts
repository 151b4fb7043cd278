/** The library in SQLite: what is true of every library, and what one file shared by processes has to hold. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { CannotStart } from '../../src/cannot-start.ts';
import type { Library } from '../../src/library/library.ts';
import { openLibrary } from '../../src/library/open.ts';
import { libraryFacts, put } from './facts.ts';

const folder = mkdtempSync(join(tmpdir(), 'longrun-library-'));
const children: ChildProcess[] = [];
const libraries: Library[] = [];
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(libraries.map(async (library) => library.close()));
  rmSync(folder, { recursive: true, force: true });
});

const WRITER = fileURLToPath(new URL('busy-writer.ts', import.meta.url));

async function opened(path: string): Promise<Library> {
  const library = await openLibrary(path);
  libraries.push(library);
  return library;
}

/** Starts a process that writes so many files; its lines come as they are written. */
function writer(path: string, storeId: string, count: number) {
  const child = spawn(process.execPath, [WRITER, path, storeId, String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  return { child, exited: once(child, 'exit'), lines: createInterface({ input: child.stdout }) };
}

/** What SQLite itself finds wrong with a library's file, its index of words included. */
function damageIn(path: string): unknown {
  const database = new DatabaseSync(path, { timeout: 30_000 });
  try {
    database.exec("INSERT INTO word_index (word_index, rank) VALUES ('integrity-check', 1)");
    return Object.values(database.prepare('PRAGMA integrity_check').get() ?? {})[0];
  } finally {
    database.close();
  }
}

const wordSearch = (storeId: string, text: string, limit: number) => ({
  project: 'p',
  storeIds: [storeId],
  queries: [{ text, vector: null }],
  space: null,
  filter: null,
  limit,
  minScore: 0,
});

libraryFacts('SQLite', async () => openLibrary(join(folder, 'inside', 'library.sqlite')));

describe('the file of a library', () => {
  test('is shared by processes that write at once, and one that searches', async () => {
    const path = join(folder, 'shared.sqlite');
    const library = await opened(path);
    const writers = ['a', 'b', 'c'].map((storeId) => writer(path, storeId, 12));
    const stopped = new AbortController();
    const ended = Promise.all(writers.map(async ({ exited }) => exited)).finally(() => stopped.abort());
    while (!stopped.signal.aborted) {
      // Whole files only, at any moment.
      for (const { fileId } of await library.search(wordSearch('a', 'word', 3)))
        expect(await library.texts({ project: 'p', storeId: 'a', fileId }, 0, 200)).toHaveLength(100);
    }
    expect((await ended).map(([code]: unknown[]) => code)).toEqual([0, 0, 0]);
    for (const storeId of ['a', 'b', 'c'])
      expect(await library.holding({ project: 'p', storeId })).toMatchObject({ files: 12, chunks: 1_200 });
    expect(damageIn(path)).toBe('ok');
  });

  test.each([1, 2, 3])('has each file whole or not at all when its writer is killed (%i)', async (files) => {
    const path = join(folder, `killed-${files}.sqlite`);
    const library = await opened(path);
    const { child, exited, lines } = writer(path, 's', 1_000);
    let begun = 0;
    let done = 0;
    for await (const line of lines) {
      if (line === 'begun') begun += 1;
      else done += 1;
      if (begun === files * 3) break;
    }
    child.kill('SIGKILL');
    await exited;
    const { files: held, chunks } = await library.holding({ project: 'p', storeId: 's' });
    expect(chunks).toBe(held * 100);
    expect(held).toBeGreaterThanOrEqual(done);
    for (let number = 0; number < held; number += 1) {
      const found = await library.search(wordSearch('s', `word ${number}`, 200));
      expect(found.filter(({ fileId }) => fileId === `s-${number}`).length).toBeGreaterThan(0);
    }
    expect(damageIn(path)).toBe('ok');
    // What the killed one has left goes when the file is written again.
    await put(library, { project: 'p', storeId: 's', fileId: `s-${held}` }, ['again']);
    expect(await library.texts({ project: 'p', storeId: 's', fileId: `s-${held}` }, 0, 10)).toEqual([
      'again',
    ]);
    await library.removeStore({ project: 'p', storeId: 's' });
    expect(damageIn(path)).toBe('ok');
  });

  test('holds nothing of what was removed, and is for its owner only', async () => {
    const path = join(folder, 'removed', 'library.sqlite');
    const library = await opened(path);
    const place = { project: 'p', storeId: 's', fileId: 'a' };
    const texts = Array.from(
      { length: 300 },
      (_, index) => `the secret xyzzy${index} lies here ${'and there '.repeat(50)}`,
    );
    await put(library, { ...place, fileId: 'b' }, ['something else']);
    const before = bytesIn(join(folder, 'removed'));
    await put(library, place, texts, { attributes: { note: 'plugh' } });
    expect(bytesIn(join(folder, 'removed')).includes('xyzzy17')).toBe(true);
    await library.removeFile(place);
    const left = bytesIn(join(folder, 'removed'));
    expect(left.includes('xyzzy')).toBe(false);
    expect(left.includes('plugh')).toBe(false);
    expect(left.includes('something else')).toBe(true);
    expect(left.length).toBeLessThan(before.length + 100_000);
    for (const name of readdirSync(join(folder, 'removed')))
      expect(statSync(join(folder, 'removed', name)).mode & 0o077, name).toBe(0);
  });

  test('is opened again as it was closed', async () => {
    const path = join(folder, 'again.sqlite');
    const first = await openLibrary(path);
    await put(first, { project: 'p', storeId: 's', fileId: 'a' }, ['a word'], {
      space: 'x',
      vectors: [[1, 2]],
    });
    await first.close();
    expect(readdirSync(folder).filter((name) => name.startsWith('again'))).toEqual(['again.sqlite']);
    const second = await opened(path);
    expect(await second.search(wordSearch('s', 'word', 5))).toHaveLength(1);
  });

  test('is refused in plain words when it is no library, or one of another version', async () => {
    const path = join(folder, 'other.sqlite');
    writeFileSync(path, 'This is something else. '.repeat(1_000));
    // It is opened when it is first needed, and each time anew where that failed.
    const first = async (file: string): Promise<void> => (await openLibrary(file)).tidy();
    await expect(first(path)).rejects.toThrow(CannotStart);
    await expect(first(path)).rejects.toThrow(/cannot be opened .* move it away/);
    const newer = join(folder, 'newer.sqlite');
    const database = new DatabaseSync(newer);
    database.exec('PRAGMA user_version = 1000');
    database.close();
    await expect(first(newer)).rejects.toThrow(/another version of Longrun \(1000\)/);
    await expect(first('/dev/null/library.sqlite')).rejects.toThrow(CannotStart);
  });
});

/** All that the files of a folder hold. */
function bytesIn(path: string): Buffer {
  return Buffer.concat(readdirSync(path).map((name) => readFileSync(join(path, name))));
}

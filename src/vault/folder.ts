/**
 * Bytes in a folder: one file a key, in a folder of its project. Bytes come under a temporary name and are renamed when the last
 * one is on the disk, so that a file is whole or not there, whatever dies in between.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, opendir, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { namedBy, type ByteRange, type StoredBytes, type StoredKey, type Vault } from './vault.ts';

/** Where bytes lie until they are all there. No project's name begins with a dot. */
const INCOMING = '.incoming';
const OWNER_ONLY = { folder: 0o700, file: 0o600 };
const PIECE_BYTES = 64 * 1024;

export class FolderVault implements Vault {
  readonly putBytes = 4 * PIECE_BYTES;
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** Makes the folder where it is missing. @throws what the system says where it cannot be written. */
  async prepare(): Promise<void> {
    await makeFolder(join(this.#root, INCOMING));
    const probe = this.#temporary();
    await (await open(probe, 'wx', OWNER_ONLY.file)).close();
    await unlink(probe);
  }

  async put(key: string, chunks: AsyncIterable<Uint8Array>): Promise<StoredBytes> {
    const path = this.#pathOf(key);
    const temporary = this.#temporary();
    try {
      await makeFolder(dirname(temporary));
      const stored = await write(temporary, chunks);
      await makeFolder(dirname(path));
      await rename(temporary, path);
      await syncFolder(dirname(path));
      return stored;
    } catch (error) {
      await remove(temporary);
      throw error;
    }
  }

  async get(key: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array> | null> {
    const path = this.#pathOf(key);
    if ((await whenMissing(stat(path), null)) === null) return null;
    return read(path, range);
  }

  async drop(key: string): Promise<void> {
    await remove(this.#pathOf(key));
  }

  async *walk(): AsyncGenerator<StoredKey, void> {
    for await (const project of namesIn(this.#root)) {
      for await (const id of namesIn(join(this.#root, project))) {
        const key = `${project}/${id}`;
        if (namedBy(key) === null) continue;
        const found = await whenMissing(stat(join(this.#root, project, id)), null);
        if (found?.isFile() === true) yield { key, atMs: found.mtimeMs };
      }
    }
  }

  async tidy(beforeMs: number): Promise<void> {
    const folder = join(this.#root, INCOMING);
    for await (const name of namesIn(folder)) {
      const path = join(folder, name);
      const found = await whenMissing(stat(path), null);
      if (found !== null && found.mtimeMs < beforeMs) await remove(path);
    }
  }

  #temporary(): string {
    return join(this.#root, INCOMING, randomUUID());
  }

  #pathOf(key: string): string {
    const named = namedBy(key);
    if (named === null) throw new Error('no key of the vault');
    return join(this.#root, named.project, named.id);
  }
}

async function write(path: string, chunks: AsyncIterable<Uint8Array>): Promise<StoredBytes> {
  const md5 = createHash('md5');
  let bytes = 0;
  const file = await open(path, 'wx', OWNER_ONLY.file);
  try {
    for await (const chunk of chunks) {
      md5.update(chunk);
      bytes += chunk.byteLength;
      await writeWhole(file, chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { bytes, md5: md5.digest('hex') };
}

async function writeWhole(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.byteLength;) {
    const { bytesWritten } = await file.write(chunk, at);
    at += bytesWritten;
  }
}

/** Opened when it is read, so that nothing stays open for one who never reads. */
async function* read(path: string, range?: ByteRange): AsyncGenerator<Uint8Array, void> {
  const part = range === undefined ? {} : { start: range.first, end: range.last };
  const chunks: AsyncIterable<Uint8Array> = createReadStream(path, { ...part, highWaterMark: PIECE_BYTES });
  yield* chunks;
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: OWNER_ONLY.folder });
}

/** The new name is on the disk too. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function remove(path: string): Promise<void> {
  await whenMissing(unlink(path), undefined);
}

async function* namesIn(path: string): AsyncGenerator<string, void> {
  const folder = await whenMissing(opendir(path), null);
  if (folder === null) return;
  for await (const { name } of folder) yield name;
}

async function whenMissing<T, U>(asked: Promise<T>, otherwise: U): Promise<T | U> {
  try {
    return await asked;
  } catch (error) {
    // A file where a folder should be has nothing in it.
    if (isCode(error, 'ENOENT') || isCode(error, 'ENOTDIR')) return otherwise;
    throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** What every vault promises, whatever it keeps bytes in. */
import { createHash, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { namedBy, vaultKey, type Vault } from '../../src/vault/vault.ts';

/** Bytes in chunks of odd sizes, which fit no piece and no page. */
export async function* chunksOf(bytes: Uint8Array, size = 10_007): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
}

/** The first half of the bytes, and then an error. */
export async function* broken(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield* chunksOf(bytes.subarray(0, bytes.byteLength / 2));
  throw new Error('the client has gone');
}

export async function keysIn(vault: Vault): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of vault.walk()) keys.push(key);
  return keys.toSorted();
}

/** Of more than one piece of an upload to S3. */
const LARGE = randomBytes(9 * 1024 * 1024 + 3);

export function testPromises(open: () => Vault): void {
  const read = async (key: string, first?: number, last?: number): Promise<Buffer | null> => {
    const range = first === undefined || last === undefined ? undefined : { first, last };
    const chunks = await open().get(key, range);
    return chunks === null ? null : buffer(chunks);
  };

  test.each([1, 10_007, LARGE.length])('%i bytes come back as they were put', async (length) => {
    const bytes = LARGE.subarray(0, length);
    const key = vaultKey('p-one', `file-${length}`);
    const stored = await open().put(key, chunksOf(bytes));
    expect(stored).toEqual({ bytes: length, md5: createHash('md5').update(bytes).digest('hex') });
    expect(bytes.equals((await read(key)) ?? Buffer.alloc(0))).toBe(true);
    await open().drop(key);
  });

  test('a range comes back alone', async () => {
    const key = vaultKey('p-one', 'file-range');
    await open().put(key, chunksOf(LARGE.subarray(0, 100_000)));
    expect((await read(key, 70_000, 70_009))?.equals(LARGE.subarray(70_000, 70_010))).toBe(true);
    expect((await read(key, 0, 0))?.equals(LARGE.subarray(0, 1))).toBe(true);
    await open().drop(key);
  });

  test('what is put again is in place of what was there', async () => {
    const key = vaultKey('p-one', 'file-again');
    await open().put(key, chunksOf(Buffer.from('before')));
    await open().put(key, chunksOf(Buffer.from('after')));
    expect((await read(key))?.toString()).toBe('after');
    await open().drop(key);
  });

  test('of what broke off, nothing is there', async () => {
    const key = vaultKey('p-one', 'file-broken');
    await expect(open().put(key, broken(LARGE))).rejects.toThrow('the client has gone');
    expect(await read(key)).toBeNull();
    expect(await keysIn(open())).toEqual([]);
  });

  test('what is dropped is gone, and may be dropped again', async () => {
    const key = vaultKey('p-one', 'file-gone');
    await open().put(key, chunksOf(Buffer.from('x')));
    await open().drop(key);
    await open().drop(key);
    expect(await read(key)).toBeNull();
  });

  test('a walk finds every key with its time', async () => {
    const before = Date.now();
    const keys = [vaultKey('p-one', 'file-a'), vaultKey('p-one', 'part_b'), vaultKey('default', 'file-a')];
    for (const key of keys) await open().put(key, chunksOf(Buffer.from('x')));
    const found = await Array.fromAsync(open().walk());
    expect(found.map(({ key }) => key).toSorted()).toEqual(keys.toSorted());
    // Servers of S3 tell whole seconds.
    for (const { atMs } of found) {
      expect(atMs).toBeGreaterThan(before - 2_000);
      expect(atMs).toBeLessThan(Date.now() + 2_000);
    }
    for (const key of keys) await open().drop(key);
  });

  test.each(['p-one/../x', '../x', 'p-one/.hidden', 'p-one/a/b', 'p-one', '/etc/passwd', 'p-one/', 'a\0/b'])(
    '%j is no key',
    async (key) => {
      expect(namedBy(key)).toBeNull();
      await expect(open().put(key, chunksOf(Buffer.from('x')))).rejects.toThrow('no key');
      await expect(open().get(key)).rejects.toThrow('no key');
      await expect(open().drop(key)).rejects.toThrow('no key');
    },
  );
}

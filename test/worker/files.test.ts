/** What becomes of files and bytes whose time is over, or that belong to nothing. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { FileObject, Upload } from '../../src/runs/file.ts';
import { announceFolder } from '../../src/store/folder-hosts.ts';
import { FolderVault } from '../../src/vault/folder.ts';
import { vaultKey } from '../../src/vault/vault.ts';
import { FileCare } from '../../src/worker/files.ts';
import { openStore, PROJECT, silent, withMethod, type Store } from '../store/fixture.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { chunksOf, keysIn } from '../vault/promises.ts';

const HOUR_S = 60 * 60;
let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

interface Scene {
  readonly store: Store;
  readonly vault: FolderVault;
  readonly root: string;
  readonly care: () => Promise<void>;
}

async function scene(): Promise<Scene> {
  const root = mkdtempSync(join(tmpdir(), 'care-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const store = await openStore(server.url);
  const vault = new FolderVault(root);
  return {
    store,
    vault,
    root,
    care: async () => {
      const care = new FileCare({
        onEnded: async () => {},
        ...store.objects,
        vault,
        nowMs: store.nowMs,
        log: silent,
      });
      care.begin();
      await care.idle();
    },
  };
}

const nowS = (): number => Math.floor(Date.now() / 1_000);

function fileOf(id: string, expiresAt: number | null, bytes = 5): FileObject {
  return {
    id,
    object: 'file',
    bytes,
    created_at: nowS() - HOUR_S,
    expires_at: expiresAt,
    filename: 'a.txt',
    purpose: 'assistants',
    status: 'processed',
    status_details: null,
  };
}

const put = async ({ vault }: Scene, id: string): Promise<void> =>
  void (await vault.put(vaultKey(PROJECT, id), chunksOf(Buffer.from('bytes'))));

function age({ root }: Scene, hours: number, ...ids: readonly string[]): void {
  const at = nowS() - hours * HOUR_S;
  for (const id of ids) utimesSync(join(root, PROJECT, id), at, at);
}

test('a file whose time is over is gone with its bytes, and no longer counts', async () => {
  const here = await scene();
  const { files } = here.store.objects;
  for (const [id, at] of [
    ['file-over', nowS() - 1],
    ['file-later', nowS() + HOUR_S],
    ['file-never', null],
  ] as const) {
    await put(here, id);
    await files.add(PROJECT, fileOf(id, at), 0);
  }
  // It is not there from the moment on, whenever the sweep comes.
  expect(await files.get(PROJECT, 'file-over')).toBeNull();
  const query = { limit: 10, order: 'asc', after: null, before: null } as const;
  expect(await files.list(PROJECT, null, query)).toMatchObject({
    items: [{ id: 'file-later' }, { id: 'file-never' }],
  });
  expect(await files.bytes(PROJECT)).toBe(15);
  await here.care();
  expect(await keysIn(here.vault)).toEqual(['p/file-later', 'p/file-never']);
  expect(await files.bytes(PROJECT)).toBe(10);
  expect(await files.due(10)).toEqual([]);
});

test('bytes count once, however often a command arrives', async () => {
  const { store } = await scene();
  const { files } = store.objects;
  const file = fileOf('file-1', null, 7);
  for (let sent = 0; sent < 3; sent += 1) expect(await files.add(PROJECT, file, 10)).toBe(true);
  expect(await files.bytes(PROJECT)).toBe(7);
  expect(await files.add(PROJECT, fileOf('file-2', null, 4), 10)).toBe(false);
  expect(await files.get(PROJECT, 'file-2')).toBeNull();
  expect([await files.delete(PROJECT, 'file-1'), await files.delete(PROJECT, 'file-1')]).toEqual([
    true,
    false,
  ]);
  expect(await files.bytes(PROJECT)).toBe(0);
});

test('an empty file, as programs leave them, can be deleted as well', async () => {
  const { files } = (await scene()).store.objects;
  await files.add(PROJECT, fileOf('file-1', null, 0), 10);
  expect(await files.delete(PROJECT, 'file-1')).toBe(true);
  expect(await files.bytes(PROJECT)).toBe(0);
});

test('an upload whose time is over has expired, is told so for a day, and leaves nothing', async () => {
  const here = await scene();
  const { uploads, files } = here.store.objects;
  const upload: Upload = {
    id: 'upload_1',
    object: 'upload',
    bytes: 5,
    created_at: nowS() - HOUR_S,
    expires_at: nowS() - 1,
    filename: 'a',
    purpose: 'batch',
    status: 'pending',
    file: null,
  };
  await uploads.create(PROJECT, upload, null);
  await put(here, 'part_1');
  const most = { uploadBytes: 10, projectBytes: 0 };
  await uploads.addPart({ project: PROJECT, id: 'upload_1' }, { id: 'part_1', bytes: 5 }, most);
  expect(await uploads.get(PROJECT, 'upload_1')).toMatchObject({ status: 'expired' });
  expect(await files.bytes(PROJECT)).toBe(5);
  await here.care();
  expect(await keysIn(here.vault)).toEqual([]);
  expect(await files.bytes(PROJECT)).toBe(0);
  expect(await uploads.get(PROJECT, 'upload_1')).toMatchObject({ status: 'expired' });
  expect(await uploads.addPart({ project: PROJECT, id: 'upload_1' }, { id: 'part_2', bytes: 5 }, most)).toBe(
    'not open',
  );
  await uploads.retire({ project: PROJECT, id: 'upload_1' }, async () => {});
  expect(await uploads.get(PROJECT, 'upload_1')).toBeNull();
});

test('bytes that belong to nothing are dropped when they have had the time to belong to something', async () => {
  const here = await scene();
  for (const id of ['file-kept', 'file-new', 'file-orphan', 'part_open', 'part_old']) await put(here, id);
  await here.store.objects.files.add(PROJECT, fileOf('file-kept', null), 0);
  age(here, 2, 'file-kept', 'file-orphan', 'part_open');
  age(here, 4, 'part_old');
  await here.care();
  expect(await keysIn(here.vault)).toEqual(['p/file-kept', 'p/file-new', 'p/part_open']);
  // Looked for once an hour, by one process.
  await put(here, 'file-orphan');
  age(here, 2, 'file-orphan');
  await here.care();
  expect(readdirSync(join(here.root, PROJECT))).toContain('file-orphan');
});

test('a folder that is not shared is refused on a second machine, until the first one is gone', async () => {
  const { store } = await scene();
  const leave = await announceFolder(store, 'one');
  const again = await announceFolder(store, 'one');
  await expect(announceFolder(store, `two-${randomUUID()}`)).rejects.toThrow(
    /^FILES_URL is a folder on this machine \(two-.*\), but processes on others \(one\) use the same Redis/,
  );
  await Promise.all([leave(), again()]);
  await (
    await announceFolder(store, 'two')
  )();
});

test('a process waits with its folder while Redis is away', async () => {
  const { store } = await scene();
  // How ioredis says so; once for what is said, once for what is asked.
  const away = async (): Promise<never> =>
    Promise.reject(new Error("Stream isn't writeable and enableOfflineQueue options is false"));
  const tries = { host: 0, zrangebyscore: 0 };
  const method =
    <K extends keyof typeof tries>(name: K) =>
    async (...args: Parameters<typeof store.redis.host>): Promise<unknown> => {
      tries[name] += 1;
      return tries[name] === 1 ? away() : Reflect.apply(store.redis[name], store.redis, args);
    };
  const redis = withMethod(
    withMethod(store.redis, 'host', method('host')),
    'zrangebyscore',
    method('zrangebyscore'),
  );
  const leave = await announceFolder({ ...store, redis }, 'one');
  expect(tries).toEqual({ host: 2, zrangebyscore: 2 });
  await leave();
});

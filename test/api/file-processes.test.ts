/** What large files and killed processes leave: no memory, no bytes. */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { startService, type Service } from '../support/service.ts';
import { Wire } from '../support/wire.ts';

const MEGABYTE = 1024 * 1024;
const fileSchema = z.looseObject({ id: z.string(), bytes: z.number() });
const completedSchema = z.looseObject({ file: fileSchema });
const BOUNDARY = 'boundary';
const HEAD = [
  `--${BOUNDARY}`,
  'Content-Disposition: form-data; name="purpose"',
  '',
  'user_data',
  `--${BOUNDARY}`,
  'Content-Disposition: form-data; name="file"; filename="large.bin"',
  '',
  '',
].join('\r\n');
const PART_HEAD = [
  `--${BOUNDARY}`,
  'Content-Disposition: form-data; name="data"; filename="blob"',
  'Content-Type: application/octet-stream',
  '',
  '',
].join('\r\n');
const END = `\r\n--${BOUNDARY}--\r\n`;
const piece = randomBytes(MEGABYTE);

async function* formOf(megabytes: number): AsyncGenerator<Uint8Array, void> {
  yield Buffer.from(HEAD);
  for (let sent = 0; sent < megabytes; sent += 1) yield piece;
  yield Buffer.from(END);
}

async function upload(service: Service, megabytes: number): Promise<string> {
  const response = await fetch(`${service.baseUrl}/files`, {
    method: 'POST',
    body: ReadableStream.from(formOf(megabytes)),
    duplex: 'half',
    headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
  });
  const { id, bytes } = fileSchema.parse(await response.json());
  expect(bytes).toBe(megabytes * MEGABYTE);
  return id;
}

async function download(service: Service, id: string): Promise<number> {
  const { body } = await fetch(`${service.baseUrl}/files/${id}/content`);
  let bytes = 0;
  const chunks: AsyncIterable<Uint8Array> | null = body;
  for await (const chunk of chunks ?? []) bytes += chunk.byteLength;
  return bytes;
}

const incoming = (service: Service): readonly string[] => readdirSync(join(service.filesFolder, '.incoming'));

/** The most memory that the process has held since `forget`, in MB; Linux keeps count. */
const memory = {
  forget: (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, '5'),
  most: (pid: number): number => {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kilobytes) / 1024;
  },
};

describe.skipIf(!existsSync('/proc/self/clear_refs'))('memory', () => {
  test('of the API does not grow with a file of 200 MB, nor with ten at once, up or down', async () => {
    const service = await startService({ redisUrl: inject('redisUrl'), workers: 0 });
    onTestFinished(async () => service.stop());
    const [{ pid } = { pid: 0 }] = service.living;
    // What the first files bring into memory, code among it, stays there.
    for (let round = 0; round < 3; round += 1) await download(service, await upload(service, 50));
    memory.forget(pid);
    const before = memory.most(pid);
    const id = await upload(service, 200);
    expect(memory.most(pid) - before).toBeLessThan(40);
    expect(await download(service, id)).toBe(200 * MEGABYTE);
    expect(memory.most(pid) - before).toBeLessThan(40);
    const ids = await Promise.all(Array.from({ length: 10 }, async () => upload(service, 20)));
    await Promise.all(ids.map(async (each) => download(service, each)));
    expect(memory.most(pid) - before).toBeLessThan(80);
  });
});

describe('an API process that is killed in the middle', () => {
  /** Sends the beginning of a form with a file, and resolves when some of it is on the disk. */
  async function beginForm(service: Service, path: string, head: string): Promise<void> {
    const { hostname, port } = new URL(service.url);
    const socket = createConnection({ host: hostname, port: Number(port) });
    socket.on('error', () => {});
    const length = `Content-Length: ${50 * MEGABYTE}`;
    const type = `Content-Type: multipart/form-data; boundary=${BOUNDARY}`;
    socket.write([`POST /v1${path} HTTP/1.1`, `Host: ${hostname}`, type, length, '', head].join('\r\n'));
    socket.write(piece);
    await expect.poll(() => incoming(service)).toHaveLength(1);
  }

  /** Makes what was left by uploads old enough to be removed, and has a worker look for it. */
  async function sweep(service: Service): Promise<void> {
    const old = Date.now() / 1_000 - 2 * 60 * 60;
    for (const name of incoming(service)) utimesSync(join(service.filesFolder, '.incoming', name), old, old);
    await service.startWorker();
    await service.waitForLog(({ msg }) => msg === 'looked for bytes that belong to no file');
  }

  const kept = (service: Service): readonly string[] =>
    readdirSync(service.filesFolder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.includes('/'),
    );

  test('of an upload leaves no file, no bytes after the sweep, and the upload that is sent again is whole', async () => {
    const service = await startService({ redisUrl: inject('redisUrl'), workers: 0 });
    onTestFinished(async () => service.stop());
    const wire = new Wire(() => service.baseUrl);
    await beginForm(service, '/files', HEAD);
    await service.crashApi(service.url);
    expect(incoming(service)).toHaveLength(1);
    expect(await wire.list('/files')).toEqual([]);
    const id = await upload(service, 3);
    expect(await wire.list('/files')).toMatchObject([{ id, bytes: 3 * MEGABYTE }]);
    expect(await download(service, id)).toBe(3 * MEGABYTE);
    await sweep(service);
    expect(kept(service)).toEqual([expect.stringMatching(new RegExp(`/${id}$`))]);
  });

  test('of a part leaves none, and the part that is sent again completes the upload', async () => {
    const service = await startService({ redisUrl: inject('redisUrl'), workers: 0 });
    onTestFinished(async () => service.stop());
    const wire = new Wire(() => service.baseUrl);
    const begun = await wire.ok('POST', '/uploads', {
      bytes: 2 * MEGABYTE,
      filename: 'large.bin',
      mime_type: 'application/octet-stream',
      purpose: 'user_data',
    });
    const path = `/uploads/${begun.id}`;
    const partOf = async (): Promise<string> => {
      const body = new FormData();
      body.set('data', new Blob([piece]), 'blob');
      const response = await fetch(`${service.baseUrl}${path}/parts`, { method: 'POST', body });
      return z.looseObject({ id: z.string() }).parse(await response.json()).id;
    };
    const first = await partOf();
    await beginForm(service, `${path}/parts`, PART_HEAD);
    await service.crashApi(service.url);
    expect(await wire.list('/files')).toEqual([]);
    const again = await partOf();
    const { file } = completedSchema.parse(
      await wire.ok('POST', `${path}/complete`, { part_ids: [first, again] }),
    );
    expect(file.bytes).toBe(2 * MEGABYTE);
    expect(await wire.list('/files')).toMatchObject([{ id: file.id }]);
    const content = await fetch(`${service.baseUrl}/files/${file.id}/content`);
    expect(Buffer.from(await content.arrayBuffer()).equals(Buffer.concat([piece, piece]))).toBe(true);
    await sweep(service);
    expect(kept(service)).toEqual([expect.stringMatching(new RegExp(`/${file.id}$`))]);
  });
});

/** POSTs of the Assistants API that are sent again under their Idempotency-Key: done once, whatever their size. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { openLook } from '../support/contents.ts';
import { startService, type Service } from '../support/service.ts';
import { Wire } from '../support/wire.ts';

let service: Service;
let wire: Wire;

beforeAll(async () => {
  service = await startService({ redisUrl: inject('redisUrl'), workers: 0 });
  wire = new Wire(service.baseUrl);
});

afterAll(() => service?.stop());

const created = z.looseObject({ id: z.string() });

test('a message as large as a photo is added once', async () => {
  const thread = created.parse((await wire.ask('POST', '/threads')).body);
  const path = `${service.baseUrl}/threads/${thread.id}/messages`;
  const body = JSON.stringify({ role: 'user', content: 'x'.repeat(5 * 1024 * 1024) });
  const send = async (): Promise<string> => {
    const headers = { 'idempotency-key': 'the photo' };
    const response = await fetch(path, { method: 'POST', headers, body });
    return response.status === 409 ? send() : created.parse(await response.json()).id;
  };
  const first = await send();
  await expect(send()).resolves.toBe(first);
});

test('what a process had made when it died is not made again', async () => {
  const redis = openLook(inject('redisUrl'));
  onTestFinished(() => redis.disconnect());
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const [spoken, run] = [await wire.thread('a'), await wire.thread('b')];
  const requests = [
    ['/assistants', { model: 'm' }],
    ['/threads', { messages: [{ role: 'user', content: 'x' }] }],
    [`/threads/${spoken}/messages`, { role: 'user', content: 'x' }],
    [`/threads/${run}/runs`, { assistant_id }],
    ['/threads/runs', { assistant_id, thread: { messages: [{ role: 'user', content: 'x' }] } }],
  ] as const;
  const send = async (path: string, body: object): Promise<string> => {
    // All that such a process leaves behind beside its objects.
    const digest = createHash('sha256').update(`key\n/v1${path}\nlost`).digest('base64url');
    const claim = JSON.stringify({ type: 'claim', nonce: 'random', untilMs: 0 });
    await redis.set(`${service.redisPrefix}:default:answer:${digest}`, claim);
    const reply = await wire.ask('POST', path, { body, headers: { 'idempotency-key': 'lost' } });
    expect(reply.status, path).toBe(200);
    return created.parse(reply.body).id;
  };
  for (const [path, body] of requests) {
    const first = await send(path, body);
    expect(await send(path, body), path).toBe(first);
  }
  expect(await wire.list(`/threads/${spoken}/messages`)).toHaveLength(2);
  expect(await wire.list(`/threads/${run}/runs`)).toHaveLength(1);
});

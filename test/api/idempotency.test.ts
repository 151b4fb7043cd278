/** POSTs of the Assistants API that are sent again under their Idempotency-Key: done once, whatever their size. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { z } from 'zod';
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

/** `GET /admin/service`: one look at the whole service, for operators only. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { expectRefusal } from '../support/refusal.ts';
import { gate, says } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const ADMIN_KEY = 'the key of the operators';
const { upstream, service } = withService({
  env: { AUTH: 'key', API_KEY: 'the key', ADMIN_KEY, MAX_OPEN_RUNS_PER_PROJECT: '7' },
});
const toolsSchema = z.object({ tools: z.array(z.looseObject({ name: z.string() })) });
const as = (key: string): Wire => new Wire(() => service.baseUrl, { authorization: `Bearer ${key}` });

test('others are told who may see it', async () => {
  const reply = await as('the key').ask('GET', '/admin/service');
  expect(reply.status).toBe(403);
  expectRefusal(reply, {
    status: 403,
    type: 'permission_error',
    code: 'operator_needed',
    message: /^Only operators of this server may see this\. Send the server's ADMIN_KEY/,
  });
});

test('operators see figures, projects, tools, limits and settings, and no secret', async () => {
  const door = gate();
  upstream.reply(() => [door, ...says('well')]);
  const wire = as('the key');
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
  await wire.run(await wire.thread('hello'), { assistant_id });
  await door.reached;
  const reply = await as(ADMIN_KEY).ask('GET', '/admin/service');
  expect(reply.status).toBe(200);
  expect(reply.body).toMatchObject({
    object: 'admin.service',
    queue: { waiting: 0, active: 1, delayed: 0 },
    open_runs: 1,
    workers: [{ slots: 200 }],
    apis: [{ sockets: 0 }],
    redis: { ok: true },
    projects: [{ project: 'default', open_runs: 1, usage_today: null, limits: { max_open_runs: 7 } }],
    mcp_servers: [],
    limits: { max_open_runs_per_project: 7, worker_concurrency: 200 },
    settings: { auth: 'key', upstreams: [{ name: 'default', models: [] }] },
  });
  const { tools } = toolsSchema.parse(reply.body);
  expect(tools.find(({ name }) => name === 'SEARCH')).toMatchObject({
    source: { type: 'built_in' },
    health: { status: 'ok' },
  });
  for (const secret of ['the key', ADMIN_KEY, 'upstream-key']) expect(reply.text).not.toContain(secret);
  door.open();
});

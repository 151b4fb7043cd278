/** A thread with a damaged run in it, as its client meets it: in words, and not for ever. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { RedisKeys } from '../../src/store/keys.ts';
import { openState } from '../../src/store/redis.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import { silent } from '../store/fixture.ts';
import { expectRefusal } from '../support/refusal.ts';
import { gate, says } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

let redis: ScriptedRedis;
let keys: RedisKeys;
let assistant_id: string;

beforeAll(async () => {
  redis = await openState(inject('redisUrl'), 'wait', silent);
});

const { upstream, service, wire } = withService(() => ({ workers: 1 }));

beforeAll(async () => {
  keys = new RedisKeys(service.redisPrefix);
  assistant_id = (await wire.ok('POST', '/assistants', { model: 'm' })).id;
});

afterAll(async () => {
  redis?.disconnect();
});

const asUnreadable = (what: string) => ({
  status: 404,
  code: 'unreadable',
  message: `What is stored of ${what} is damaged and cannot be read. Delete its thread or make a new one; the operator finds more in the log.`,
});

test('a run that cannot be read is refused in words, given up, and its thread goes on', async () => {
  const door = gate();
  upstream.reply(() => [door, ...says('too late')]);
  const thread_id = await wire.thread('hello');
  const stream = await wire.stream('POST', `/threads/${thread_id}/runs`, {
    body: { assistant_id, stream: true },
  });
  await stream.until('thread.run.in_progress');
  await door.reached;
  const [id = ''] = await redis.zrange(keys.runs({ project: 'default', threadId: thread_id }), '0', '0');
  const ref = { project: 'default', threadId: thread_id, runId: id };
  // With another version, its worker's commits are refused, too.
  await redis.hset(keys.run(ref), { doc: 'not json', version: 'v' });
  const path = `/threads/${thread_id}/runs/${id}`;
  for (const [method, route] of [
    ['GET', path],
    ['GET', `${path}/steps`],
    ['POST', `${path}/cancel`],
  ] as const)
    expectRefusal(await wire.ask(method, route), asUnreadable(`run ${id}`));
  const message = { role: 'user', content: 'more' };
  expectRefusal(await wire.ask('POST', `/threads/${thread_id}/messages`, { body: message }), {
    message: `Can't add messages to ${thread_id} while a run ${id} is active.`,
  });
  expectRefusal(await wire.ask('POST', `/threads/${thread_id}/runs`, { body: { assistant_id } }), {
    message: `Thread ${thread_id} already has an active run ${id}.`,
  });
  expect(await wire.list(`/threads/${thread_id}/runs`)).toEqual([]);
  expect(await wire.list(`/threads/${thread_id}/messages`)).toHaveLength(1);

  await redis.hset(keys.run(ref), 'unreadable', 'v 1 somebody');
  upstream.reply(() => undefined);
  await wire.ok('POST', `/threads/${thread_id}/messages`, message);
  const frames = await stream.rest();
  expect(JSON.stringify(frames)).toContain('is damaged, and it was given up');
  const next = await wire.run(thread_id, { assistant_id });
  expect(await wire.rested(next)).toMatchObject({ status: 'completed' });
  door.open();
  const told = service.logs.filter(({ run_id, level }) => run_id === id && level >= 50);
  expect(told.map(({ msg }) => msg)).toEqual([
    'a run cannot be read; it is given up if it stays so',
    'gave up a run that cannot be read; its thread is free',
  ]);
  await wire.ok('DELETE', `/threads/${thread_id}`);
  expect(await redis.exists(keys.run(ref))).toBe(0);
});

test('a run that is lost does not hold its thread', async () => {
  const door = gate();
  upstream.reply(() => [door, ...says('too late')]);
  const thread_id = await wire.thread('hello');
  const run = await wire.run(thread_id, { assistant_id });
  await door.reached;
  await redis.del(keys.run({ project: 'default', threadId: thread_id, runId: run.id }));
  upstream.reply(() => undefined);
  await wire.ok('POST', `/threads/${thread_id}/messages`, { role: 'user', content: 'more' });
  expect(await wire.rested(await wire.run(thread_id, { assistant_id }))).toMatchObject({
    status: 'completed',
  });
  door.open();
});

test('a thread that cannot be read still shows its messages, and can be deleted', async () => {
  const thread_id = await wire.thread('hello');
  await redis.hset(keys.thread({ project: 'default', threadId: thread_id }), thread_id, 'not json');
  expectRefusal(await wire.ask('GET', `/threads/${thread_id}`), asUnreadable(`thread ${thread_id}`));
  expect(await wire.list(`/threads/${thread_id}/messages`)).toHaveLength(1);
  expect(await wire.rested(await wire.run(thread_id, { assistant_id }))).toMatchObject({
    status: 'completed',
  });
  await wire.ok('DELETE', `/threads/${thread_id}`);
});

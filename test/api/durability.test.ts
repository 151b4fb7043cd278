/**
 * DURABILITY=replica: a run is acknowledged when a replica has it. Without one the client is refused, but gets the run when it
 * sends the request again, as SDKs do by themselves.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer, type RedisProcess } from '../support/redis-process.ts';
import { startService, type Service } from '../support/service.ts';
import { FakeUpstream } from '../support/upstream.ts';
import { runIn, saidIn, Wire } from '../support/wire.ts';

let upstream: FakeUpstream;
let master: RedisProcess;
let replica: RedisProcess;
let service: Service;
let wire: Wire;
let assistant_id: string;

beforeAll(async () => {
  [upstream, master] = await Promise.all([
    FakeUpstream.start(),
    startServer({ 'repl-diskless-sync-delay': '0' }),
  ]);
  const redisUrl = `redis://127.0.0.1:${master.port}`;
  service = await startService({ redisUrl, upstream, env: { DURABILITY: 'replica' } });
  wire = new Wire(service.baseUrl);
  assistant_id = (await wire.ok('POST', '/assistants', { model: 'm' })).id;
});

afterAll(async () => {
  await service?.stop();
  await upstream?.stop();
  await master?.stop();
});

describe('without a replica', () => {
  const messages = [{ role: 'user', content: 'once' }];
  const refused = { status: 503, body: { error: { type: 'server_error', code: null } } };

  test('a run is refused, and goes on; a repetition with the same key gets it, messages and all', async () => {
    const thread = await wire.thread();
    const asked = {
      body: { assistant_id, additional_messages: messages },
      headers: { 'idempotency-key': 'the same' },
    };
    const first = await wire.ask('POST', `/threads/${thread}/runs`, asked);
    expect(first).toMatchObject(refused);
    expect(first.headers.get('retry-after')).toBe('1');
    const [run] = await wire.list(`/threads/${thread}/runs`);
    expect(first.text).toContain(`Run ${run?.id} was begun`);
    const again = await wire.ask('POST', `/threads/${thread}/runs`, asked);
    expect(again).toMatchObject({ status: 200, body: { id: run?.id } });
    expect(await wire.rested(runIn({ id: null, name: '', data: again.body }))).toMatchObject({
      status: 'completed',
    });
    expect(await wire.list(`/threads/${thread}/messages`)).toHaveLength(2);
  });

  /** Shows A-RETRY-09. */
  test('an SDK’s own retry gets the stream of the run', async () => {
    const path = `/threads/${await wire.thread('hello')}/runs`;
    const body = { assistant_id, stream: true };
    const headers = { 'x-stainless-retry-count': '0' };
    expect(await wire.ask('POST', path, { body, headers })).toMatchObject(refused);
    const stream = await wire.stream('POST', path, { body, headers: { 'x-stainless-retry-count': '1' } });
    expect(saidIn(await stream.rest())).toBe('You said: hello');
    expect(await wire.list(path)).toHaveLength(1);
  });

  test('a chat is refused, and an SDK’s own retry is answered by the run it began, where it says whose it is', async () => {
    const body = { model: 'm', messages: [{ role: 'user', content: 'chat' }], user: 'ann' };
    const sent = (count: string) =>
      wire.ask('POST', '/chat/completions', { body, headers: { 'x-stainless-retry-count': count } });
    expect(await sent('0')).toMatchObject({ status: 503 });
    expect((await sent('1')).text).toContain('You said: chat');
    expect(upstream.requests.filter(({ text }) => text === 'chat')).toHaveLength(1);
  });

  test('a chat that nobody can be told to have sent is refused, and its run ended: nobody can ask for it', async () => {
    upstream.reply(({ text }) => (text === 'nobody' ? [{ type: 'stall' }] : undefined));
    const body = { model: 'm', messages: [{ role: 'user', content: 'nobody' }] };
    const headers = { 'x-stainless-retry-count': '0' };
    expect(await wire.ask('POST', '/chat/completions', { body, headers })).toMatchObject({ status: 503 });
    const { closed } = await upstream.asked(({ text }) => text === 'nobody');
    await expect(closed).resolves.toMatchObject({ by: 'client' });
  });

  test('so is a run with a thread of its own', async () => {
    upstream.reply(({ text }) => (text === 'lost' ? [{ type: 'stall' }] : undefined));
    const body = { assistant_id, thread: { messages: [{ role: 'user', content: 'lost' }] } };
    expect(await wire.ask('POST', '/threads/runs', { body })).toMatchObject(refused);
    const { closed } = await upstream.asked(({ text }) => text === 'lost');
    await expect(closed).resolves.toMatchObject({ by: 'client' });
  });

  test('the end of a run is told all the same, and the log says that nobody confirmed it', async () => {
    const line = await service.waitForLog(({ msg }) => msg === 'no replica has confirmed the end of a run');
    expect(line).toMatchObject({ level: 40, process: 'worker 0' });
  });
});

describe('with a replica', () => {
  beforeAll(async () => {
    replica = await startServer({ replicaof: `127.0.0.1 ${master.port}` });
  });

  afterAll(async () => replica.stop());

  test('a run is acknowledged', async () => {
    const body = { assistant_id, thread: { messages: [{ role: 'user', content: 'hi' }] } };
    const statusOf = async (): Promise<number> => (await wire.ask('POST', '/threads/runs', { body })).status;
    await expect.poll(statusOf, { timeout: 60_000 }).toBe(200);
    expect(await wire.play(await wire.thread('hi'), { assistant_id })).toMatchObject({ status: 'completed' });
  });
});

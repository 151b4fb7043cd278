/** A run that is asked for while another has its thread: what `metadata.multitask` decides, in every protocol alike. */
import { beforeAll, describe, expect, test } from 'vitest';
import { asking, post, textOf } from '../support/chat.ts';
import { calls, finish, gate, text } from '../support/upstream.ts';
import { type WireRun } from '../support/wire.ts';
import { withSharedService } from '../support/shared-service.ts';
import { withService } from '../support/with-service.ts';

let assistant_id: string;

const { upstream, service, wire } = withSharedService();

beforeAll(async () => {
  const tools = [{ type: 'function', function: { name: 'weather' } }];
  ({ id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm', tools }));
});

/** A run in the middle of its answer to `said`, which came together with it; `finishes` lets it go on. */
async function speaking(said: string) {
  const door = gate();
  upstream.reply((request) =>
    request.text === said ? [text('Half'), door, text(' and half'), finish('stop')] : undefined,
  );
  const thread = await wire.thread('before');
  const first = await wire.run(thread, {
    assistant_id,
    additional_messages: [{ role: 'user', content: said }],
  });
  const events = await wire.stream('GET', `/threads/${thread}/runs/${first.id}/events`);
  for (let frame = await events.next(); frame?.name !== 'thread.message.delta'; frame = await events.next())
    if (frame === null) throw new Error('the run ended before it spoke');
  events.close();
  return { thread, first, finishes: door.open };
}

const second = (multitask?: string): object => ({
  assistant_id,
  additional_messages: [{ role: 'user', content: 'second' }],
  ...(multitask !== undefined && { metadata: { multitask } }),
});

/** What a thread says, oldest first. */
async function said(thread: string): Promise<readonly unknown[]> {
  const messages = await wire.list(`/threads/${thread}/messages?order=asc`);
  return messages.map((message) => Reflect.get(message, 'content')).map(wordsOf);
}

const wordsOf = (content: unknown): unknown =>
  Array.isArray(content) ? content.map((part: { text: { value: string } }) => part.text.value).join() : null;

const statusOf = async (run: WireRun): Promise<string> => (await wire.get(run)).status;

describe('a second run of a thread', () => {
  test.each([undefined, 'reject'])('is refused, as at the hosted API: multitask %s', async (multitask) => {
    const { thread, first, finishes } = await speaking(`story ${multitask}`);
    const reply = await wire.ask('POST', `/threads/${thread}/runs`, { body: second(multitask) });
    expect(reply.status).toBe(400);
    expect(reply.text).toContain(`already has an active run ${first.id}`);
    finishes();
    expect((await wire.rested(first)).status).toBe('completed');
    expect(await said(thread)).toEqual(['before', `story ${multitask}`, 'Half and half']);
  });

  test('waits for the first where it says enqueue', async () => {
    const { thread, first, finishes } = await speaking('a story to wait for');
    const waiting = wire.play(thread, second('enqueue'));
    // A run that is asked for later is refused, so the second has been looked at.
    expect((await wire.ask('POST', `/threads/${thread}/runs`, { body: second() })).status).toBe(400);
    finishes();
    expect((await waiting).status).toBe('completed');
    expect(await statusOf(first)).toBe('completed');
    expect(await said(thread)).toEqual([
      'before',
      'a story to wait for',
      'Half and half',
      'second',
      'You said: second',
    ]);
  });

  test('also while the first waits for its client', async () => {
    upstream.reply(({ outputs, text: asked }) =>
      asked !== 'weather?' || outputs.length > 0 ? undefined : calls([{ name: 'weather', arguments: {} }]),
    );
    const thread = await wire.thread('weather?');
    const first = await wire.play(thread, { assistant_id });
    expect(first.status).toBe('requires_action');
    const waiting = wire.play(thread, second('enqueue'));
    expect((await wire.ask('POST', `/threads/${thread}/runs`, { body: second() })).status).toBe(400);
    await wire.submit(first, 'wet');
    expect((await waiting).status).toBe('completed');
    expect(await statusOf(first)).toBe('completed');
  });

  test('ends the first where it says interrupt, and what was said stays', async () => {
    const { thread, first } = await speaking('a story to interrupt');
    expect((await wire.play(thread, second('interrupt'))).status).toBe('completed');
    expect(await statusOf(first)).toBe('cancelled');
    expect(await said(thread)).toEqual([
      'before',
      'a story to interrupt',
      'Half',
      'second',
      'You said: second',
    ]);
  });

  test('takes the first back where it says rollback, with what came together with it', async () => {
    const { thread, first } = await speaking('a story to take back');
    expect((await wire.play(thread, second('rollback'))).status).toBe('completed');
    expect(await statusOf(first)).toBe('cancelled');
    expect(await said(thread)).toEqual(['before', 'second', 'You said: second']);
  });

  test('is one of 32 at most that wait, and whoever is refused interrupts nobody', async () => {
    const { thread, first, finishes } = await speaking('a story for many');
    const waits = async (multitask: string) =>
      wire.ask('POST', `/threads/${thread}/runs`, { body: { assistant_id, metadata: { multitask } } });
    const waiting = Array.from({ length: 33 }, async () => waits('enqueue'));
    const refused = { status: 400, body: { error: { code: 'thread_busy' } } };
    expect(await Promise.race(waiting)).toMatchObject(refused);
    expect(await waits('interrupt')).toMatchObject(refused);
    expect(await statusOf(first)).toBe('in_progress');
    await wire.ok('DELETE', `/threads/${thread}`);
    finishes();
    await Promise.all(waiting);
  });

  test('is refused for a word that means nothing here', async () => {
    const thread = await wire.thread('hi');
    const reply = await wire.ask('POST', `/threads/${thread}/runs`, { body: second('both') });
    expect(reply).toMatchObject({
      status: 400,
      body: { error: { param: 'metadata.multitask', code: 'invalid_value' } },
    });
    expect(reply.text).toContain("'reject', 'enqueue', 'interrupt', 'rollback'");
    expect(await wire.list(`/threads/${thread}/runs`)).toEqual([]);
  });
});

test('a chat takes back the one before it, too', async () => {
  const { thread, first } = await speaking('a story by somebody else');
  const asked = asking('and now?', { thread_id: thread, metadata: { multitask: 'rollback' } });
  expect(await textOf(await post(`${service.baseUrl}/chat/completions`, asked))).toBe('You said: and now?');
  expect(await statusOf(first)).toBe('cancelled');
  expect(await said(thread)).toEqual(['before', 'and now?', 'You said: and now?']);
});

describe('requests that wait for a thread', () => {
  const { upstream: model, wire: small } = withService({
    // Two of these requests may wait, a quarter of the bodies' room, and as many answers of that size may be on their way.
    env: { BODY_LIMIT_BYTES: '2300000', BODIES_LIMIT_BYTES: '2400000', ANSWERS_LIMIT_BYTES: '400000' },
  });

  test('leave the room for other requests to those, and are refused when too much waits', async () => {
    model.reply(({ outputs, text: asked }) =>
      asked !== 'weather?' || outputs.length > 0 ? undefined : calls([{ name: 'weather', arguments: {} }]),
    );
    const tools = [{ type: 'function', function: { name: 'weather' } }];
    const instructions = 'i'.repeat(200_000);
    const { id: lengthy } = await small.ok('POST', '/assistants', { model: 'm', tools, instructions });
    const thread = await small.thread('weather?');
    const first = await small.play(thread, { assistant_id: lengthy });
    expect(first.status).toBe('requires_action');
    const waits = async () =>
      small.ask('POST', `/threads/${thread}/runs`, {
        body: {
          assistant_id: lengthy,
          metadata: { multitask: 'enqueue' },
          additional_messages: [{ role: 'user', content: 'm'.repeat(100_000) }],
        },
      });
    const waiting = [waits(), waits(), waits()];
    expect((await Promise.race(waiting)).status).toBe(503);
    // Until both wait, what they are to be answered with is in the way.
    await expect.poll(waits).toMatchObject({ status: 503, body: { error: { code: 'too_many_waiting' } } });
    const other = await small.thread('o'.repeat(2_200_000));
    expect((await small.run(other, { assistant_id: lengthy })).status).toBe('queued');
    await small.submit(first, 'wet');
    const statuses = (await Promise.all(waiting)).map(({ status }) => status);
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 200, 503]);
  });
});

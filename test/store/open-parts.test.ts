/** What is read of a message or a step that is being written. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunEvent } from '../../src/runs/event.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  COMPLETED,
  create,
  delta,
  must,
  openStore,
  OPEN_MESSAGE,
  refOf,
  STARTED,
  startTalking,
  THREAD,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

const at = 1_000;

async function message(store: Store): Promise<unknown> {
  const stored = must(await store.objects.messages.get(THREAD, 'msg_1'));
  return store.objects.openParts.message(THREAD, stored);
}

const said = (value: string): unknown =>
  expect.objectContaining({ content: [{ type: 'text', text: { value, annotations: [] } }] });

describe('a message', () => {
  test('has what was said so far, however much that is', async () => {
    const store = await openStore(server.url);
    let held = await startTalking(store);
    let text = '';
    for (let word = 0; word < 450; word++) {
      text += `${word} `;
      held = await store.runs.commit(held, [delta(`${word} `)]);
    }
    expect(await message(store)).toEqual(said(text));
    expect(await message(store)).toMatchObject({ status: 'in_progress' });
    await store.runs.commit(held, COMPLETED);
    expect(await message(store)).toEqual(said(text));
    expect(await message(store)).toMatchObject({ status: 'completed' });
  });

  test('has nothing before its first word, without its log, and with a damaged one', async () => {
    const store = await openStore(server.url);
    const held = await startTalking(store);
    expect(await message(store)).toMatchObject({ content: [] });
    await store.runs.commit(held, [delta('hello')]);
    await store.redis.xadd(store.keys.log(refOf()), '*', 'e', 'no JSON');
    expect(await message(store)).toMatchObject({ content: [], status: 'in_progress' });
    await store.redis.unlink(store.keys.log(refOf()));
    expect(await message(store)).toMatchObject({ content: [], status: 'in_progress' });
  });

  test('has only its own words, and keeps annotations', async () => {
    const store = await openStore(server.url);
    const created = await create(store);
    const mark = {
      type: 'url_citation',
      start_index: 0,
      end_index: 1,
      url_citation: { url: 'u', title: 't' },
    } as const;
    const marked: RunEvent = { type: 'message.delta', text: 'a', annotations: [mark] };
    await store.runs.commit(created, [STARTED, ...OPEN_MESSAGE, marked, delta('b')]);
    const content = [{ type: 'text', text: { value: 'ab', annotations: [mark] } }];
    expect(await message(store)).toMatchObject({ content });
  });
});

test('a step has its calls so far, and the outputs of those that were answered', async () => {
  const store = await openStore(server.url);
  const held = await store.runs.commit(await create(store), [
    STARTED,
    { type: 'step.created', step_id: 'step_1', message_id: null, at },
    { type: 'tool.called', index: 0, call_id: 'call_1', name: 'f' },
    { type: 'tool.delta', index: 0, arguments: '{}' },
    { type: 'tool.called', index: 1, call_id: 'call_2', name: 'g' },
    { type: 'tool.answered', index: 0, output: 'one' },
  ]);
  await store.runs.commit(held, [{ type: 'tool.delta', index: 1, arguments: '{"a' }]);
  const step = must(await store.objects.steps.get(THREAD, 'step_1'));
  expect(await store.objects.openParts.step(refOf(), step)).toMatchObject({
    status: 'in_progress',
    step_details: {
      type: 'tool_calls',
      tool_calls: [
        { id: 'call_1', function: { name: 'f', arguments: '{}', output: 'one' } },
        { id: 'call_2', function: { name: 'g', arguments: '{"a', output: null } },
      ],
    },
  });
});

/** What a process remembers of assistants: nothing that it changed itself, and not for long what others changed. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Assistant } from '../../src/runs/thread.ts';
import { AssistantMemory } from '../../src/store/assistant-memory.ts';
import { Assistants } from '../../src/store/assistants.ts';
import { Collections } from '../../src/store/collection.ts';
import { Damage } from '../../src/store/damage.ts';
import { Imports } from '../../src/store/imports.ts';
import { needsOneServer, startRedis, type RedisServer } from '../support/redis.ts';
import {
  create,
  CREATED_AT,
  openHub,
  openStore,
  PAGE_LIMIT_BYTES,
  PROJECT,
  refOf,
  silent,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

function assistant(id: string, more: Partial<Assistant> = {}): Assistant {
  return {
    id,
    object: 'assistant',
    created_at: CREATED_AT,
    name: id,
    description: null,
    model: 'model',
    instructions: null,
    tools: [],
    tool_resources: {},
    metadata: {},
    top_p: 1,
    temperature: 1,
    reasoning_effort: null,
    response_format: 'auto',
    ...more,
  };
}

/** The assistants as another process has them. */
function elsewhere({ redis, keys, nowMs }: Store): Assistants {
  const damage = new Damage(redis, keys, silent);
  const collections = new Collections({ redis, damage, nowMs, pageLimitBytes: PAGE_LIMIT_BYTES });
  return new Assistants(collections, redis, keys);
}

/** A process that remembers, and how often it has asked Redis. */
async function remembering() {
  let reads = 0;
  const store = await openStore(
    server.url,
    (redis) =>
      new Proxy(redis, {
        get: (target, key) => {
          if (key === 'hget') reads += 1;
          const value: unknown = Reflect.get(target, key);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      }),
  );
  const { hub, feedId } = await openHub(store);
  const { assistants } = store.objects;
  await assistants.remember(hub);
  /** Makes an assistant, and waits until the channel has said so here as well. */
  const make = async (made: Assistant): Promise<void> => {
    const told = Promise.withResolvers<void>();
    const stop = await hub.hear(store.keys.assistantChanges, () => told.resolve());
    await assistants.create(PROJECT, made);
    await told.promise;
    stop();
  };
  return { store, assistants, hub, feedId, make, reads: () => reads };
}

/** Looks until `look` finds what is expected, as a next request would. */
async function soon<T>(look: () => Promise<T>, expected: T): Promise<void> {
  await vi.waitFor(async () => expect(await look()).toEqual(expected), { interval: 1, timeout: 2_000 });
}

test('the second look-up of an id, of a name and of no name asks Redis nothing', async () => {
  const { assistants, make, reads } = await remembering();
  await make(assistant('asst_1', { name: 'Anna' }));
  const look = async () =>
    Promise.all([
      assistants.recall(PROJECT, 'asst_1'),
      assistants.recallByName(PROJECT, 'anna'),
      assistants.recallByName(PROJECT, 'gpt-x'),
      assistants.recall('other', 'asst_1'),
    ]);
  const first = await look();
  expect(first.map((found) => found?.id ?? null)).toEqual(['asst_1', 'asst_1', null, null]);
  const before = reads();
  expect(await look()).toEqual(first);
  expect(reads()).toBe(before);
});

test('what a process changes itself it sees at once', async () => {
  const { store, assistants } = await remembering();
  const named = async (name: string) => (await assistants.recallByName(PROJECT, name))?.id ?? null;
  expect(await named('anna')).toBeNull();
  await assistants.create(PROJECT, assistant('asst_1', { name: 'Anna' }));
  expect(await named('anna')).toBe('asst_1');
  await assistants.update(PROJECT, 'asst_1', (old) => ({ ...old, name: 'Berta' }));
  expect([await named('anna'), await named('berta')]).toEqual([null, 'asst_1']);
  await assistants.delete(PROJECT, 'asst_1');
  expect([await named('berta'), await assistants.recall(PROJECT, 'asst_1')]).toEqual([null, null]);
  const imports = new Imports(store, assistants);
  await imports.assistants(PROJECT, [assistant('asst_1', { name: 'Berta' })]);
  expect(await named('berta')).toBe('asst_1');
});

test('what another process changes is seen when the channel says so', async () => {
  const { store, assistants } = await remembering();
  const others = elsewhere(store);
  const named = async () => (await assistants.recallByName(PROJECT, 'anna'))?.id ?? null;
  const model = async () => (await assistants.recall(PROJECT, 'asst_1'))?.model ?? null;
  expect(await named()).toBeNull();
  await others.create(PROJECT, assistant('asst_1', { name: 'Anna' }));
  await soon(named, 'asst_1');
  await soon(model, 'model');
  await others.update(PROJECT, 'asst_1', (old) => ({ ...old, model: 'better' }));
  await soon(model, 'better');
  await others.delete(PROJECT, 'asst_1');
  await soon(model, null);
  const imports = new Imports(store, others);
  await imports.assistants(PROJECT, [assistant('asst_1', { name: 'Anna' })]);
  await soon(named, 'asst_1');
});

test('what another process changes is seen as well when the last stream of this one has ended', async () => {
  const { store, assistants, hub, make } = await remembering();
  await make(assistant('asst_1'));
  const gone = new AbortController();
  const log = hub.follow((await create(store)).ref, gone.signal);
  await log.next();
  gone.abort();
  await log.return();
  // The subscription is gone when Redis has answered: what is said from then on must still be heard.
  await vi.waitFor(async () =>
    expect(await store.redis.pubsub('SHARDNUMSUB', store.keys.events(refOf()))).toContain(0),
  );
  const model = async () => (await assistants.recall(PROJECT, 'asst_1'))?.model ?? null;
  expect(await model()).toBe('model');
  await elsewhere(store).update(PROJECT, 'asst_1', (old) => ({ ...old, model: 'better' }));
  await soon(model, 'better');
});

test('a channel that was lost is not believed', async (context) => {
  needsOneServer(context);
  const { store, assistants, hub, feedId, make } = await remembering();
  await make(assistant('asst_1'));
  const model = async () => (await assistants.recall(PROJECT, 'asst_1'))?.model ?? null;
  expect(await model()).toBe('model');
  const { docs } = store.keys.assistants(PROJECT);
  // Of this, nobody tells.
  await store.redis.hset(docs, 'asst_1', JSON.stringify(assistant('asst_1', { model: 'untold' })));
  expect(await model()).toBe('model');
  await store.redis.client('KILL', 'ID', feedId);
  await soon(model, 'untold');
  await vi.waitFor(() => expect(hub.isHearing).toBe(true));
  expect(await model()).toBe('untold');
});

describe('the memory', () => {
  const ANNA = assistant('asst_1');
  /** How often it reads when it is asked this often. */
  async function readsOf(memory: AssistantMemory, asked: readonly string[], found: Assistant | null) {
    let reads = 0;
    const read = async (): Promise<Assistant | null> => {
      reads += 1;
      return found;
    };
    for (const one of asked) await memory.find(PROJECT, one, read);
    return reads;
  }

  test('does not keep what was changed while it was read', async () => {
    const memory = new AssistantMemory(() => true);
    await memory.find(PROJECT, 'id asst_1', async () => {
      memory.forget('other project');
      return ANNA;
    });
    expect(await readsOf(memory, ['id asst_1', 'id asst_1'], null)).toBe(1);
  });

  test('keeps nothing and knows nothing while no change would be heard', async () => {
    let isHearing = true;
    const memory = new AssistantMemory(() => isHearing);
    expect(await readsOf(memory, ['a', 'a'], ANNA)).toBe(1);
    isHearing = false;
    expect(await readsOf(memory, ['a', 'b'], ANNA)).toBe(2);
    isHearing = true;
    expect(await readsOf(memory, ['a', 'b'], ANNA)).toBe(1);
  });

  test('has an end: in number, in the size of assistants and of names', async () => {
    const memory = new AssistantMemory(() => true);
    const names = Array.from({ length: 1_000 }, (_, index) => `name ${index}`);
    await readsOf(memory, names, null);
    expect(await readsOf(memory, names, null)).toBe(0);
    await readsOf(memory, ['one more'], null);
    expect(await readsOf(memory, names, null)).toBeGreaterThan(900);
    const large = assistant('asst_2', { instructions: 'x'.repeat(40_000) });
    expect(await readsOf(memory, ['large', 'large'], large)).toBe(2);
    expect(await readsOf(memory, ['x'.repeat(600), 'x'.repeat(600)], null)).toBe(2);
  });
});

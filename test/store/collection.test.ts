/** Collections: items that stand at the same place, bounded collections, and what a second sending changes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Collections, ProjectCollection, type PageQuery } from '../../src/store/collection.ts';
import { Damage } from '../../src/store/damage.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { openStore, PAGE_LIMIT_BYTES, PROJECT, silent, withMethod, type Store } from './fixture.ts';

interface Thing {
  readonly id: string;
  readonly object: 'thing';
}

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

const newThing = (id: string): Thing => ({ id, object: 'thing' });

function open({ redis, keys }: Store, nowMs = Date.now): [ProjectCollection<Thing>, Collections] {
  const damage = new Damage(redis, keys, silent);
  const collections = new Collections({ redis, damage, nowMs, pageLimitBytes: PAGE_LIMIT_BYTES });
  return [
    new ProjectCollection<Thing>(collections, (project) => keys.assistants(project), 'thing'),
    collections,
  ];
}

/** The ids of a walk, page by page. */
async function walk(
  things: ProjectCollection<Thing>,
  order: PageQuery['order'],
  limit: number,
): Promise<string> {
  const ids: string[] = [];
  for (let after: string | null = null; ; after = ids.at(-1) ?? null) {
    const page = await things.list(PROJECT, { limit, order, after, before: null });
    if (page.type !== 'page' || page.items.length === 0) return ids.join(' ');
    ids.push(...page.items.map(({ id }) => id));
  }
}

describe('items that two processes made in the same millisecond', () => {
  const ids = ['a', 'b', 'c', 'd', 'e'];

  async function tied(): Promise<ProjectCollection<Thing>> {
    const store = await openStore(server.url);
    const [things] = open(store, () => 1);
    // Each process begins to count at the same place.
    for (const id of ids) await open(store, () => 1)[0].create(PROJECT, newThing(id));
    return things;
  }

  test('are all met by a walk, whatever its order and limit', async () => {
    const things = await tied();
    for (const limit of [1, 2, 3]) {
      expect(await walk(things, 'asc', limit)).toBe('a b c d e');
      expect(await walk(things, 'desc', limit)).toBe('e d c b a');
    }
  });

  test('are met by a walk that goes on from one of them that was deleted', async () => {
    const things = await tied();
    await things.delete(PROJECT, 'c');
    const on = async (order: PageQuery['order']): Promise<unknown> =>
      things.list(PROJECT, { limit: 9, order, after: 'c', before: null });
    expect(await on('asc')).toMatchObject({ items: [{ id: 'd' }, { id: 'e' }] });
    expect(await on('desc')).toMatchObject({ items: [{ id: 'b' }, { id: 'a' }] });
  });
});

describe('adding an item', () => {
  test('that is there changes neither it nor its place', async () => {
    const store = await openStore(server.url, (redis) =>
      withMethod(redis, 'add', async (...args: (string | number)[]) => {
        await redis.add(...args);
        return redis.add(...args);
      }),
    );
    const [things] = open(store);
    for (const id of ['a', 'b']) await things.create(PROJECT, newThing(id));
    await things.create(PROJECT, newThing('a'));
    expect(await walk(things, 'asc', 9)).toBe('a b');
  });

  test('to a full collection makes room: the first items go, with their documents', async () => {
    const store = await openStore(server.url);
    const [things, collections] = open(store);
    const keys = store.keys.assistants(PROJECT);
    for (const id of ['a', 'b', 'c', 'd'])
      await collections.add(keys, id, JSON.stringify(newThing(id)), { most: 2 });
    expect(await walk(things, 'asc', 9)).toBe('c d');
    expect(await things.get(PROJECT, 'a')).toBeNull();
  });
});

test('an item is only removed where it stands before the place that is given', async () => {
  const store = await openStore(server.url);
  const [things, collections] = open(store);
  const keys = store.keys.assistants(PROJECT);
  await collections.add(keys, 'a', JSON.stringify(newThing('a')), { place: 5 });
  expect(await collections.remove(keys, 'a', { before: 5 })).toBe(false);
  expect(await things.get(PROJECT, 'a')).not.toBeNull();
  expect(await collections.remove(keys, 'a', { before: 6 })).toBe(true);
  expect(await things.get(PROJECT, 'a')).toBeNull();
});

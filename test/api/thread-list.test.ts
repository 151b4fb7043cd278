/** `GET /threads`: an extension of ours, shaped like every other list, with a filter by metadata. */
import { beforeEach, expect, test } from 'vitest';
import { says } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

let wire: Wire;
let wires = 0;

const env = { AUTH: 'passthrough', SECRET: 's'.repeat(32) };

const { upstream, service } = withService({ env });
beforeEach(() => {
  upstream.reply(() => says('hello'));
  wire = caller();
});

/** A caller with a key, and so a project, of its own. */
function caller(): Wire {
  wires += 1;
  return new Wire(service.baseUrl, { authorization: `Bearer key-${wires}` });
}

async function threadOf(metadata: object = {}): Promise<string> {
  return (await wire.ok('POST', '/threads', { metadata })).id;
}
const idsOf = async (query = ''): Promise<readonly string[]> =>
  (await wire.list(`/threads${query}`)).map(({ id }) => id);

/** Shows A-WIRE-18, A-LIST-01, A-LIST-02. */
test('a project’s threads are listed, newest first, in the envelope of every list', async () => {
  const [first, second, third] = [await threadOf(), await threadOf(), await threadOf({ k: 'v' })];
  const { body } = await wire.ask('GET', '/threads?limit=2');
  expect(body).toMatchObject({ object: 'list', first_id: third, last_id: second, has_more: true });
  expect(await wire.list('/threads?limit=1')).toEqual([await wire.ok('GET', `/threads/${third}`)]);
  expect(await idsOf(`?after=${second}`)).toEqual([first]);
  expect(await idsOf(`?before=${second}`)).toEqual([third]);
  expect(await idsOf('?order=asc')).toEqual([first, second, third]);
  wire = caller();
  expect((await wire.ask('GET', '/threads')).body).toEqual({
    object: 'list',
    data: [],
    first_id: null,
    last_id: null,
    has_more: false,
  });
  expect((await wire.ask('GET', `/threads?after=${first}`)).status).toBe(400);
});

test('a deleted thread is not listed, and a walk goes on from it', async () => {
  const [first, second] = [await threadOf(), await threadOf()];
  await wire.ok('DELETE', `/threads/${second}`);
  expect(await idsOf()).toEqual([first]);
  expect(await idsOf(`?after=${second}`)).toEqual([first]);
});

test('threads of conversations are listed, and chats without a thread are not', async () => {
  const say = async (more: object): Promise<void> => {
    const body = { model: 'm', messages: [{ role: 'user', content: 'hello' }], ...more };
    expect((await wire.ask('POST', '/chat/completions', { body })).status).toBe(200);
  };
  await say({});
  expect(await idsOf()).toEqual([]);
  await say({ thread_id: 'mine' });
  expect(await idsOf()).toHaveLength(1);
});

test('threads are found by their metadata', async () => {
  const mine = await threadOf({ user: 'me & you', room: '1' });
  const other = await threadOf({ user: 'you', room: '1' });
  expect(await idsOf(`?metadata[user]=${encodeURIComponent('me & you')}`)).toEqual([mine]);
  expect(await idsOf('?metadata%5Broom%5D=1')).toEqual([other, mine]);
  expect(await idsOf('?metadata[room]=1&metadata[user]=you')).toEqual([other]);
  expect(await idsOf('?metadata[room]=2')).toEqual([]);
  // No thread can have metadata of that name, so none has this.
  expect(await idsOf('?metadata[__proto__]=2')).toEqual([]);
  expect(await idsOf('?metadata[constructor]=2')).toEqual([]);
  await wire.ok('POST', `/threads/${mine}`, { metadata: { room: '2' } });
  expect(await idsOf('?metadata[room]=2')).toEqual([mine]);
});

test('a filter that no metadata can fit is refused', async () => {
  for (const query of [
    'metadata[a]=b&metadata[a]=c',
    'metadata=me',
    `metadata=${encodeURIComponent('{"user":"me"}')}`,
    `metadata[${'k'.repeat(65)}]=v`,
    `metadata[k]=${'v'.repeat(513)}`,
  ])
    expect((await wire.ask('GET', `/threads?${query}`)).status, query).toBe(400);
});

/** `GET /runs`: the runs of a project, an extension of ours, shaped like every other list. */
import { beforeEach, expect, test } from 'vitest';
import { gate, says } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const env = { AUTH: 'passthrough', SECRET: 's'.repeat(32) };
const { upstream, service } = withService({ env, apis: 2, workers: 2 });

let wire: Wire;
let wires = 0;
beforeEach(() => {
  upstream.reply(() => says('hello'));
  wire = caller();
});

/** A caller with a key, and so a project, of its own; asks both APIs in turn. */
function caller(): Wire {
  wires += 1;
  let asked = 0;
  const base = (): string => `${service.origins[(asked += 1) % 2] ?? ''}/v1`;
  return new Wire(base, { authorization: `Bearer key-${wires}` });
}

const idsOf = async (query = ''): Promise<readonly string[]> =>
  (await wire.list(`/runs${query}`)).map(({ id }) => id);

/** Shows A-LIST-01, A-LIST-02. */
test('the runs of all threads are listed, newest first, as each is shown by itself', async () => {
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const { id: other } = await wire.ok('POST', '/assistants', { model: 'm' });
  const first = await wire.play(await wire.thread('one'), { assistant_id });
  const second = await wire.play(await wire.thread('two'), { assistant_id: other });
  const third = await wire.play(first.thread_id, { assistant_id });
  await wire.ok('POST', `/threads/${second.thread_id}/runs/${second.id}`, { metadata: { a: 'b' } });
  const shown = await Promise.all([third, second, first].map(async (run) => wire.get(run)));
  expect((await wire.ask('GET', '/runs')).body).toEqual({
    object: 'list',
    data: shown,
    first_id: third.id,
    last_id: first.id,
    has_more: false,
  });
  expect((await wire.ask('GET', '/runs?limit=1')).body).toMatchObject({ last_id: third.id, has_more: true });
  expect(await idsOf(`?after=${third.id}`)).toEqual([second.id, first.id]);
  expect(await idsOf(`?before=${first.id}&limit=1`)).toEqual([second.id]);
  expect(await idsOf('?order=asc')).toEqual([first.id, second.id, third.id]);
  expect(await idsOf(`?assistant_id=${other}`)).toEqual([second.id]);
  expect(await idsOf(`?thread_id=${first.thread_id}&status=completed,queued`)).toEqual([third.id, first.id]);
  expect(await idsOf(`?thread_id=${first.thread_id}&assistant_id=${other}`)).toEqual([]);
  expect(await idsOf('?status=failed&status=cancelled')).toEqual([]);
  const at = Number(Reflect.get(second, 'created_at'));
  expect(await idsOf(`?created_after=${at}&created_before=${at}`)).toContain(second.id);
  expect(await idsOf(`?created_after=${at + 3600}`)).toEqual([]);
  expect(await idsOf(`?created_before=${at - 3600}`)).toEqual([]);
  const own = wire;
  wire = caller();
  expect(await idsOf()).toEqual([]);
  expect((await wire.ask('GET', `/runs?after=${first.id}`)).status).toBe(400);
  const moved = new Wire(`${service.url}/api/assts/v1`, { authorization: `Bearer key-${wires - 1}` });
  expect(await moved.list('/runs')).toEqual(await own.list('/runs'));
});

test('runs that wait, runs of chats and runs whose time is over are listed as what they are', async () => {
  const chat = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };
  expect((await wire.ask('POST', '/chat/completions', { body: chat })).status).toBe(200);
  const [ofChat = ''] = await idsOf('?status=completed');
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const waits = gate();
  upstream.reply(() => [waits, ...says('late')]);
  const metadata = { expires_after_s: '1' };
  const { id } = await wire.run(await wire.thread('wait'), { assistant_id, metadata });
  expect(await idsOf()).toEqual([id, ofChat]);
  while ((await idsOf('?status=expired')).length === 0) expect(await idsOf()).toEqual([id, ofChat]);
  expect(await idsOf('?status=queued,in_progress')).toEqual([]);
  expect(await idsOf('?status=expired')).toEqual([id]);
  waits.open();
});

test('a filter that nothing can fit is refused', async () => {
  for (const query of ['status=', 'status=done', 'status=queued,', 'created_after=x', 'created_before=-1'])
    expect((await wire.ask('GET', `/runs?${query}`)).status, query).toBe(400);
});

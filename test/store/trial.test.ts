/** What projects on trial may keep, when it is deleted, and that a proven one keeps everything. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PLAIN_ORIGIN } from '../../src/runs/event.ts';
import type { Assistant } from '../../src/runs/thread.ts';
import { IdempotencyRecords } from '../../src/store/idempotency-records.ts';
import type { RunRef } from '../../src/store/keys.ts';
import { Trial, type TrialLimits } from '../../src/store/trial.ts';
import { keysLike } from '../support/contents.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { create, newMessage, newThread, openStore, withMethod, type Store } from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

const KEPT_MS = 1_000;
const LIMITS: TrialLimits = {
  keptMs: KEPT_MS,
  maxProjectBytes: 100_000,
  maxProjectWrites: 5,
  maxBytes: 300_000,
  maxWrites: 12,
};

async function openTrial(): Promise<{ store: Store; trial: Trial; again: () => Trial }> {
  const store = await openStore(server.url);
  const again = (): Trial => new Trial(store.redis, store.keys, Date.now, LIMITS);
  return { store, trial: again(), again };
}

let requests = 0;
const write = (bytes = 10, makes = '') => ({ id: `req_${(requests += 1)}`, makes, bytes });
const answersOf = async (count: number, ask: () => Promise<string>): Promise<string[]> =>
  Promise.all(Array.from({ length: count }, ask));

describe('a project on trial', () => {
  test('may make so many writes, however many come at once', async () => {
    const { trial } = await openTrial();
    const told = await answersOf(20, async () => trial.admit('p', write()));
    expect(told.filter((answer) => answer === 'admitted')).toHaveLength(5);
    expect(told.filter((answer) => answer === 'project full')).toHaveLength(15);
  });

  test('may keep so many bytes', async () => {
    const { trial } = await openTrial();
    expect(await trial.admit('p', write(60_000))).toBe('admitted');
    expect(await trial.admit('p', write(60_000))).toBe('project full');
    expect(await trial.admit('p', write(10_000))).toBe('admitted');
  });

  test('finds no room where all of them together have none: neither for writes nor for bytes', async () => {
    const { trial } = await openTrial();
    for (const project of ['a', 'b', 'c', 'd']) await answersOf(3, async () => trial.admit(project, write()));
    expect(await trial.admit('e', write())).toBe('all full');
    const large = await openTrial();
    for (const project of ['a', 'b', 'c']) await large.trial.admit(project, write(90_000));
    expect(await large.trial.admit('d', write(90_000))).toBe('all full');
    expect(await large.trial.admit('d', write(1_000))).toBe('admitted');
  });

  test('is charged once for a request that is sent twice', async () => {
    const { store, trial } = await openTrial();
    const one = write(1_000);
    for (let sending = 0; sending < 9; sending++) expect(await trial.admit('p', one)).toBe('admitted');
    expect(await store.redis.hgetall(store.keys.trialSums)).toEqual({ bytes: '3048', writes: '1' });
  });
});

describe('a chat without a thread', () => {
  let chats = 0;
  /** One whose run has the id `run_<n>`, in a thread of the same number. */
  function chat(bytes = 10): { id: string; makes: string; bytes: number; ref: (project: string) => RunRef } {
    const number = (chats += 1);
    const [threadId, runId] = [`thread_${number}`, `run_${number}`];
    const ref = (project: string): RunRef => ({ project, threadId, runId });
    return { ...write(bytes, `chat:${threadId}/${runId}`), ref };
  }
  const sumsOf = ({ redis, keys }: Store): Promise<unknown> => redis.hgetall(keys.trialSums);
  /** Long enough for a chat to be looked for, and shorter than a trial. */
  const LATER_MS = 60_000;
  const openLong = async (): Promise<{ store: Store; trial: Trial }> => {
    const store = await openStore(server.url);
    return { store, trial: new Trial(store.redis, store.keys, Date.now, { ...LIMITS, keptMs: 3_600_000 }) };
  };

  test('counts as long as anything of it is there, and gives its room back then', async () => {
    const { store, trial } = await openLong();
    const { redis, keys, objects } = store;
    const [lives, lost] = [chat(50_000), chat(40_000)];
    expect(await trial.admit('p', lives)).toBe('admitted');
    expect(await trial.admit('p', lost)).toBe('admitted');
    await redis.set(keys.input(lives.ref('p')), 'x', 'PX', 600_000);
    // Not yet looked for: a run is created a moment after it was admitted.
    await trial.end(objects);
    expect(await sumsOf(store)).toEqual({ bytes: '94096', writes: '2' });
    await trial.end(objects, Date.now() + LATER_MS);
    expect(await sumsOf(store)).toEqual({ bytes: '52048', writes: '1' });
    expect(await trial.admit('p', chat(60_000))).toBe('project full');
    await redis.del(keys.input(lives.ref('p')));
    await redis.set(keys.log(lives.ref('p')), 'x', 'PX', 600_000);
    await trial.end(objects, Date.now() + 2 * LATER_MS);
    expect(await sumsOf(store)).toEqual({ bytes: '52048', writes: '1' });
    await redis.del(keys.log(lives.ref('p')));
    await trial.end(objects, Date.now() + 3 * LATER_MS);
    expect(await sumsOf(store)).toEqual({ bytes: '0', writes: '0' });
    expect(await redis.exists(keys.trials, keys.trialChats, keys.trial('p'))).toBe(0);
  });

  test('leaves nothing of its run behind when it is gone', async () => {
    const { store, trial } = await openLong();
    const gone = chat(10_000);
    await trial.admit('stranger', gone);
    const ref = gone.ref('stranger');
    await create(store, ref, {
      origin: { ...PLAIN_ORIGIN, project: 'stranger', request_id: 'r', ephemeral: true },
      thread: null,
    });
    await store.redis.del(store.keys.run(ref), store.keys.log(ref), store.keys.input(ref));
    await trial.end(store.objects, Date.now() + LATER_MS);
    expect(await keysLike(store.redis, '*{stranger/*')).toEqual([]);
  });

  test('gets through without room if it is small, one at a time of each project', async () => {
    const { store, trial } = await openLong();
    const { redis, keys, objects } = store;
    for (const project of ['a', 'b', 'c']) await trial.admit(project, write(95_000));
    expect(await trial.admit('a', chat(20_000))).toBe('project full');
    expect(await trial.admit('new', chat(20_000))).toBe('all full');
    expect(await trial.admit('new', write(10_000))).toBe('all full');
    const first = chat(10_000);
    await redis.set(keys.run(first.ref('new')), 'x');
    const told = [];
    for (let sending = 0; sending < 3; sending++) told.push(await trial.admit('new', first));
    expect(told).toEqual(['admitted', 'admitted', 'admitted']);
    expect(await trial.admit('new', chat(10_000))).toBe('all full');
    expect(await trial.admit('other', chat(10_000))).toBe('admitted');
    await trial.end(objects, Date.now() + LATER_MS);
    expect(await trial.admit('new', chat(10_000))).toBe('all full');
    await redis.del(keys.run(first.ref('new')));
    await trial.end(objects, Date.now() + 2 * LATER_MS);
    expect(await trial.admit('new', chat(10_000))).toBe('admitted');
    await trial.prove('new');
    expect(await keysLike(redis, `${keys.trialFirst('new')}*`)).toEqual([]);
  });

  test('is deleted at the end of its project’s trial, should it still be there', async () => {
    const { store, trial } = await openTrial();
    const { redis, keys, objects } = store;
    const late = chat(10_000);
    await trial.admit('p', late);
    for (const key of [keys.run(late.ref('p')), keys.log(late.ref('p')), keys.input(late.ref('p'))])
      await redis.set(key, 'x');
    expect(await trial.end(objects, Date.now() + 2 * KEPT_MS)).toBe(1);
    expect(await keysLike(redis, `*${late.ref('p').threadId}*`)).toEqual([]);
    expect(await sumsOf(store)).toEqual({ bytes: '0', writes: '0' });
    expect(await redis.exists(keys.trialChats)).toBe(0);
  });
});

describe('a proven project', () => {
  test('writes what it likes, and gives back the room it took', async () => {
    const { store, trial, again } = await openTrial();
    await answersOf(9, async () => trial.admit('p', write()));
    const worker = again();
    await worker.prove('p');
    await worker.prove('p');
    expect(await store.redis.hgetall(store.keys.trialSums)).toEqual({ bytes: '0', writes: '0' });
    expect(await store.redis.exists(store.keys.trial('p'), store.keys.trials)).toBe(0);
    expect(new Set(await answersOf(50, async () => trial.admit('p', write(90_000))))).toEqual(
      new Set(['admitted']),
    );
    expect(trial.knows('p')).toBe(true);
    expect(await again().admit('q', write())).toBe('admitted');
  });

  test('is one that had assistants before there were trials', async () => {
    const { store, trial } = await openTrial();
    await store.objects.assistants.create('old', assistant('asst_old'));
    expect(await trial.admit('old', write(10, 'asst_new'))).toBe('admitted');
    await store.objects.assistants.create('old', assistant('asst_new'));
    await trial.end(store.objects, Date.now() + 10 * KEPT_MS);
    expect(await store.objects.assistants.get('old', 'asst_old')).not.toBeNull();
    expect(await store.objects.assistants.get('old', 'asst_new')).not.toBeNull();
  });
});

describe('the end of a trial', () => {
  test('deletes all that the project has made, gives the room back, and leaves others alone', async () => {
    const { store, trial } = await openTrial();
    const { objects, redis, keys } = store;
    const answers = new IdempotencyRecords(redis, keys, Date.now);
    const made = async (project: string): Promise<void> => {
      const thread = newThread(`thread_${project}`);
      await trial.admit(project, write(10, thread.id));
      await objects.threads.create(project, thread, [newMessage(`msg_${project}`)]);
      await trial.admit(project, write(10, `asst_${project}`));
      await objects.assistants.create(project, assistant(`asst_${project}`));
      await trial.admit(project, write(10, 'answer:digest'));
      await answers.keep(project, 'digest', { type: 'json', text: '{}', headers: {} }, 60_000);
    };
    await made('ended');
    await made('proven');
    await trial.prove('proven');
    expect(await trial.end(objects, Date.now() + KEPT_MS / 2)).toBe(0);
    expect(await trial.end(objects, Date.now() + 2 * KEPT_MS)).toBe(1);
    expect(await keysLike(redis, '*ended*')).toEqual([]);
    expect(await objects.threads.get({ project: 'proven', threadId: 'thread_proven' })).not.toBeNull();
    expect(await objects.assistants.get('proven', 'asst_proven')).not.toBeNull();
    expect(await answers.take('proven', 'digest')).not.toBeNull();
    expect(await redis.hgetall(keys.trialSums)).toEqual({ bytes: '0', writes: '0' });
  });

  test('is begun again where it broke off', async () => {
    const { store, trial } = await openTrial();
    await trial.admit('p', write(10, 'thread_1'));
    await store.objects.threads.create('p', newThread('thread_1'), []);
    const dies = () => Promise.reject(new Error('died here'));
    const broken = {
      ...store.objects,
      assistants: withMethod(store.objects.assistants, 'tidy', dies),
    };
    await expect(trial.end(broken, Date.now() + 2 * KEPT_MS)).rejects.toThrow('died here');
    expect(await trial.end(store.objects, Date.now() + 2 * KEPT_MS)).toBe(1);
    expect(await trial.end(store.objects, Date.now() + 2 * KEPT_MS)).toBe(0);
  });
});

function assistant(id: string): Assistant {
  return {
    id,
    object: 'assistant',
    created_at: 1,
    name: `name of ${id}`,
    description: null,
    model: 'm',
    instructions: null,
    tools: [],
    tool_resources: {},
    metadata: {},
    temperature: 1,
    top_p: 1,
    reasoning_effort: null,
    response_format: 'auto',
  };
}

/**
 * Runs outlive their workers: they wait for one, move to another when theirs is stopped or killed, and in the end have said everything
 * exactly once. All scenes have one service: first those without workers, and each of the others leaves a worker to the next.
 */
/* oxlint-disable vitest/expect-expect -- expectRefusal asserts. */
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { problemsOf } from '../support/order.ts';
import { expectRefusal } from '../support/refusal.ts';
import type { ServiceProcess } from '../support/service.ts';
import { calls, gate, says, text } from '../support/upstream.ts';
import {
  namesOf,
  runIn,
  saidIn,
  textOf,
  type EventStream,
  type Frame,
  type WireRun,
} from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const { upstream, service, wire } = withService({
  workers: 0,
  env: { DRAIN_MS: '0', UPSTREAM_RETRIES: '0' },
});
let assistant_id: string;

beforeAll(async () => {
  ({ id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' }));
});

const living = (): readonly ServiceProcess[] =>
  service.living.filter(({ name }) => name.startsWith('worker'));

/** Ends the worker, when another one is there. */
async function replaceWorker(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const [worker] = living();
  await service.startWorker();
  await worker?.end(signal);
}

/** For scenes that begin with a worker: the one that an earlier scene left, if one did. */
async function needWorker(): Promise<void> {
  if (living().length === 0) await service.startWorker();
}

const pathOf = ({ thread_id, id }: WireRun): string => `/threads/${thread_id}/runs/${id}`;

/** A run that has said its first words, and whose model says no more; the next one that is asked tells the whole story. */
async function interruptedRun(): Promise<{ run: WireRun; stream: EventStream }> {
  let asked = 0;
  upstream.reply(() =>
    (asked += 1) === 1 ? [text('Once'), text(' upon'), { type: 'stall' }] : says('Once upon', ' a time'),
  );
  const body = { assistant_id, stream: true };
  const stream = await wire.stream('POST', `/threads/${await wire.thread('a story')}/runs`, { body });
  return { run: runIn((await stream.until('thread.message.delta'))[0]), stream };
}

/** The story was told once, whole, and nothing of the first try is left in the thread. */
async function expectToldOnce(run: WireRun, attempts: readonly string[]): Promise<void> {
  const ended = await wire.get(run);
  expect(ended).toMatchObject({ status: 'completed', last_error: null, usage: { total_tokens: 15 } });
  const messages = await wire.list(`/threads/${run.thread_id}/messages`);
  expect(messages.map(textOf)).toEqual(['Once upon a time', 'a story']);
  const steps = await wire.list(`${pathOf(run)}/steps?order=asc`);
  expect(steps.map(({ status }) => status)).toEqual(attempts);
  await wire.ok('POST', `/threads/${run.thread_id}/messages`, { role: 'user', content: 'Another!' });
}

const withoutDeltas = (frames: readonly Frame[]): readonly string[] =>
  namesOf(frames).filter((name) => !name.endsWith('delta'));

const TAKEN_BACK = [
  'thread.message.incomplete',
  'thread.run.step.failed',
  'thread.run.queued',
  'thread.run.in_progress',
];

describe('while no worker lives', () => {
  /** Shows A-CANCEL-01, A-ORDER-12. */
  test('a run is cancelled at once, and its thread is free', async () => {
    const thread_id = await wire.thread('hello');
    const stream = await wire.stream('POST', `/threads/${thread_id}/runs`, {
      body: { assistant_id, stream: true },
    });
    const run = runIn((await stream.next()) ?? undefined);
    const cancel = () => wire.ask('POST', `${pathOf(run)}/cancel`);
    expect(await cancel()).toMatchObject({ status: 200, body: { ...run, status: 'cancelling' } });
    expect(namesOf(await stream.rest())).toEqual([
      'thread.run.queued',
      'thread.run.cancelling',
      'thread.run.cancelled',
      'done',
    ]);
    expect(await wire.get(run)).toMatchObject({ status: 'cancelled', started_at: null, expires_at: null });
    expectRefusal(await cancel(), { message: "Cannot cancel run with status 'cancelled'." });
    await wire.ok('POST', `/threads/${thread_id}/messages`, { role: 'user', content: 'x' });
    const next = await wire.run(thread_id, { assistant_id });
    expect(next).toMatchObject({ status: 'queued' });
    // No worker of a later scene is to find it.
    await wire.ok('POST', `${pathOf(next)}/cancel`, {});
  });

  /** Shows A-EXPIRY-03. */
  test('a run expires: for its streams, for who watches it, and for who looks at it', async () => {
    const body = { assistant_id, metadata: { expires_after_s: '1' } };
    const [looked, watched] = await Promise.all(
      [0, 1].map(async () => wire.run(await wire.thread('x'), body)),
    );
    if (!looked || !watched) throw new Error('two were made');
    const watching = await wire.stream('GET', `${pathOf(watched)}/events`);
    const stream = await wire.stream('POST', `/threads/${await wire.thread('x')}/runs`, {
      body: { ...body, stream: true },
    });
    const expired = ['thread.run.created', 'thread.run.queued', 'thread.run.expired', 'done'];
    expect(namesOf(await stream.rest())).toEqual(expired);
    expect(namesOf(await watching.rest())).toEqual(expired);
    const ended = await wire.get(looked);
    expect(ended).toMatchObject({ status: 'expired', expires_at: looked['expires_at'], started_at: null });
    expectRefusal(await wire.ask('POST', `${pathOf(looked)}/cancel`), {
      message: "Cannot cancel run with status 'expired'.",
    });
  });

  /** Shows A-LOCK-04. */
  test('a run waits for one, and its stream with it', async () => {
    const thread = await wire.thread('hello');
    const stream = await wire.stream('POST', `/threads/${thread}/runs`, {
      body: { assistant_id, stream: true },
    });
    const begun = await stream.until('thread.run.queued');
    const run = runIn(begun[0]);
    expect(await wire.get(run)).toMatchObject({ status: 'queued', started_at: null });
    expectRefusal(
      await wire.ask('POST', `/threads/${thread}/messages`, { body: { role: 'user', content: 'x' } }),
      {
        message: `Can't add messages to ${thread} while a run ${run.id} is active.`,
      },
    );
    await service.startWorker();
    const frames = [...begun, ...(await stream.rest())];
    expect(problemsOf(frames)).toEqual([]);
    expect(saidIn(frames)).toBe('You said: hello');
  });
});

describe('a worker that is stopped in the middle of an answer', () => {
  beforeEach(needWorker);

  /** Shows A-ORDER-17. */
  test('hands its run over: its stream goes on, and the answer is said once', async () => {
    const { run, stream } = await interruptedRun();
    const [first] = upstream.requests.slice(-1);
    await replaceWorker('SIGTERM');
    expect(await first?.closed).toMatchObject({ by: 'client' });
    const frames = await stream.rest();
    expect(withoutDeltas(frames).slice(0, 4)).toEqual(TAKEN_BACK);
    const whole = await (await wire.stream('GET', `${pathOf(run)}/events`)).rest();
    expect(problemsOf(whole.map((frame) => ({ ...frame, id: null })))).toEqual([]);
    expect(whole.slice(-frames.length).map(({ data }) => data)).toEqual(frames.map(({ data }) => data));
    await expectToldOnce(run, ['failed', 'completed']);
  });

  test('hands over what it said before its calls, too: both are said anew, and the first words are gone', async () => {
    const tools = [{ type: 'function', function: { name: 'look_up' } }];
    const words = [text('Let me'), text(' see.')];
    const stall = { type: 'stall' } as const;
    const call = calls([{ name: 'look_up', arguments: {} }]);
    let asked = 0;
    upstream.reply(() => [...words, ...((asked += 1) === 1 ? [...call.slice(0, 2), stall] : call)]);
    const body = { assistant_id, tools, stream: true };
    const stream = await wire.stream('POST', `/threads/${await wire.thread('Where?')}/runs`, { body });
    const run = runIn((await stream.until('thread.run.step.delta'))[0]);
    await replaceWorker('SIGTERM');
    expect(await wire.rested(run)).toMatchObject({ status: 'requires_action' });
    const messages = await wire.list(`/threads/${run.thread_id}/messages`);
    expect(messages.map(textOf)).toEqual(['Let me see.', 'Where?']);
    const steps = await wire.list(`${pathOf(run)}/steps?order=asc`);
    expect(steps.map(({ type, status }) => [type, status])).toEqual([
      ['message_creation', 'failed'],
      ['tool_calls', 'failed'],
      ['message_creation', 'completed'],
      ['tool_calls', 'in_progress'],
    ]);
    expect(upstream.requests.at(-1)?.body.messages).toHaveLength(1);
  });

  test('hands a run over that has said nothing yet, and nobody notices', async () => {
    const door = gate();
    let asked = 0;
    upstream.reply(() => ((asked += 1) === 1 ? [door] : says('Once upon', ' a time')));
    const run = await wire.run(await wire.thread('a story'), { assistant_id });
    await door.reached;
    await replaceWorker('SIGTERM');
    await wire.rested(run);
    await expectToldOnce(run, ['completed']);
  });
});

describe('a worker that is killed in the middle of an answer', () => {
  beforeEach(needWorker);

  /** Shows A-CANCEL-04, A-LOCK-04, A-OUT-05. */
  test('is missed: another one tells the story from its beginning, and ends what was being cancelled', async () => {
    const cancelled = await interruptedRun();
    const { run, stream } = await interruptedRun();
    await replaceWorker('SIGKILL');

    // Nobody is there to hang up on the model, so the cancel stays under way.
    const path = pathOf(cancelled.run);
    const cancelling = { status: 'cancelling', cancelled_at: null, required_action: null };
    expect(await wire.ask('POST', `${path}/cancel`)).toMatchObject({ status: 200, body: cancelling });
    expect(await wire.get(cancelled.run)).toMatchObject(cancelling);
    expectRefusal(await wire.ask('POST', `${path}/cancel`), {
      message: "Cannot cancel run with status 'cancelling'.",
    });
    expectRefusal(await wire.ask('POST', `${path}/submit_tool_outputs`, { body: { tool_outputs: [] } }), {
      message: 'Runs in status "cancelling" do not accept tool outputs.',
    });
    const thread = cancelled.run.thread_id;
    const body = { role: 'user', content: 'x' };
    expectRefusal(await wire.ask('POST', `/threads/${thread}/messages`, { body }), {
      message: `Can't add messages to ${thread} while a run ${cancelled.run.id} is active.`,
    });

    const frames = await stream.rest();
    expect(withoutDeltas(frames).slice(0, 4)).toEqual(TAKEN_BACK);
    expect(namesOf(frames).slice(-2)).toEqual(['thread.run.completed', 'done']);
    await expectToldOnce(run, ['failed', 'completed']);

    expect(withoutDeltas(await cancelled.stream.rest())).toEqual([
      'thread.run.cancelling',
      'thread.message.incomplete',
      'thread.run.step.cancelled',
      'thread.run.cancelled',
      'done',
    ]);
    const [answer] = await wire.list(`/threads/${thread}/messages`);
    expect(answer).toMatchObject({ status: 'incomplete', content: [{ text: { value: 'Once upon' } }] });
    expect(await wire.get(cancelled.run)).toMatchObject({ status: 'cancelled' });
  });
});

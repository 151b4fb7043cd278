/**
 * A run from its creation to each of its ends: the lock it puts on its thread, the answers it waits for, cancels, expiry, budgets and
 * usage, a thread that is deleted under it, and what the log tells of it all. What happens when workers die is in
 * lost-workers.test.ts.
 */
/* oxlint-disable vitest/expect-expect -- expectRefusal asserts. */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { problemsOf } from '../support/order.ts';
import { expectRefusal } from '../support/refusal.ts';
import { calls, finish, gate, says, text } from '../support/upstream.ts';
import {
  namesOf,
  outputsOf,
  runIn,
  saidIn,
  textOf,
  Wire,
  type EventStream,
  type WireRun,
} from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const KEY = `key-${randomUUID()}`;
/** In every text that is said here, by users, models and tools. */
const MARK = `mark-${randomUUID()}`;
const TOOL = { type: 'function', function: { name: 'f' } };
const GRACE_MS = 2_000;

let wire: Wire;
let assistant_id: string;

const env = { AUTH: 'key', API_KEY: KEY, CALM_AFTER_SUBMIT_MS: String(GRACE_MS), UPSTREAM_RETRIES: '0' };

const { upstream, service } = withService({ env });

beforeAll(async () => {
  wire = new Wire(service.baseUrl, { authorization: `Bearer ${KEY}` });
  const assistant = { model: 'm', tools: [TOOL], instructions: `Be ${MARK}.` };
  assistant_id = (await wire.ok('POST', '/assistants', assistant)).id;
});

const hello = { role: 'user', content: `hello ${MARK}` };
const pathOf = ({ thread_id, id }: Pick<WireRun, 'thread_id' | 'id'>): string =>
  `/threads/${thread_id}/runs/${id}`;
const cancel = (run: WireRun) => wire.ask('POST', `${pathOf(run)}/cancel`);
const oneCall = () => calls([{ name: 'f', arguments: { said: MARK } }]);
const thread = () => wire.thread(`hello ${MARK}`);

/** A run that waits for the answer to `oneCall`. */
async function waitingRun(body: object = {}): Promise<WireRun> {
  upstream.reply(({ outputs }) => (outputs.length > 0 ? says(`done ${MARK}`) : oneCall()));
  return wire.play(await thread(), { assistant_id, ...body });
}

/** A run whose stream has come as far as its first word, and its model no further. */
async function speakingRun(body: object = {}): Promise<{ run: WireRun; stream: EventStream }> {
  upstream.reply(() => [text(`Once ${MARK}`), { type: 'stall' }]);
  const stream = await wire.stream('POST', `/threads/${await thread()}/runs`, {
    body: { assistant_id, stream: true, ...body },
  });
  const begun = await stream.until('thread.message.delta');
  return { run: runIn(begun[0]), stream };
}

/** The model's question for the run that is open now. */
const lastAsked = () => {
  const request = upstream.requests.at(-1);
  if (request === undefined) throw new Error('the model was not asked');
  return request;
};

describe('a thread with an active run', () => {
  async function expectLocked(run: WireRun): Promise<void> {
    const { thread_id, id } = run;
    const messages = `/threads/${thread_id}/messages`;
    const before = await wire.list(messages);
    expectRefusal(await wire.ask('POST', messages, { body: hello }), {
      message: `Can't add messages to ${thread_id} while a run ${id} is active.`,
    });
    const busy = { message: `Thread ${thread_id} already has an active run ${id}.` };
    for (const extra of [{}, { stream: true }, { additional_messages: [hello] }]) {
      const body = { assistant_id, ...extra };
      expectRefusal(await wire.ask('POST', `/threads/${thread_id}/runs`, { body }), busy);
    }
    expect(await wire.list(messages)).toEqual(before);
    expect(await wire.list(`/threads/${thread_id}/runs`)).toHaveLength(1);
  }

  /** Shows A-FRAME-08, A-LOCK-01, A-LOCK-02, A-LOCK-03, A-LOCK-04, A-RETRY-01. */
  test('takes no message and no second run while it is worked on, and while it waits', async () => {
    const { run, stream } = await speakingRun();
    await expectLocked(run);
    await cancel(run);
    await stream.rest();
    await wire.ok('POST', `/threads/${run.thread_id}/messages`, hello);
    await expectLocked(await waitingRun());
  });

  /** Shows A-LOCK-07, A-MSG-13. */
  test('takes everything else', async () => {
    const run = await waitingRun();
    const base = `/threads/${run.thread_id}`;
    const [message] = await wire.list(`${base}/messages`);
    const metadata = { a: '1' };
    for (const path of [base, `${base}/messages/${message?.id}`, pathOf(run), `/assistants/${assistant_id}`])
      expect(await wire.ok('POST', path, { metadata })).toMatchObject({ metadata });
    for (const path of ['messages', 'runs', `runs/${run.id}/steps`])
      expect(await wire.list(`${base}/${path}`)).toHaveLength(1);
    await wire.ok('DELETE', `${base}/messages/${message?.id}`);
    expect(await wire.list(`${base}/messages`)).toEqual([]);
    expect(await wire.rested(await wire.submit(run, MARK))).toMatchObject({ status: 'completed' });
  });

  /** Shows A-LOCK-06, A-PARAM-05. */
  test('got it as one of twenty that came at once', async () => {
    const thread_id = await thread();
    upstream.reply(() => oneCall());
    const body = { assistant_id, additional_messages: [hello] };
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => wire.ask('POST', `/threads/${thread_id}/runs`, { body })),
    );
    const [run, ...others] = await wire.list(`/threads/${thread_id}/runs`);
    expect(others).toEqual([]);
    const refused = replies.filter(({ status }) => status !== 200);
    expect(refused).toHaveLength(19);
    for (const reply of refused)
      expectRefusal(reply, { message: `Thread ${thread_id} already has an active run ${run?.id}.` });
    expect(await wire.list(`/threads/${thread_id}/messages`)).toHaveLength(2);
  });
});

describe('tool outputs', () => {
  const submit = (run: WireRun, outputs: readonly object[], stream = false) =>
    wire.ask('POST', `${pathOf(run)}/submit_tool_outputs`, { body: { tool_outputs: outputs, stream } });

  /** Shows A-OUT-07, A-OUT-09. */
  test('sent again are no mistake while the run lives, for a client that polls; but they change nothing', async () => {
    const door = gate();
    upstream.reply(({ outputs }) => {
      if (outputs.length === 0) return oneCall();
      return outputs.length === 1 ? [door, ...oneCall()] : says(`done ${MARK}`);
    });
    const first = await wire.play(await thread(), { assistant_id });
    const answers = outputsOf(first, `sunny ${MARK}`);
    const others = outputsOf(first, 'something else');
    expect((await submit(first, answers)).status).toBe(200);
    await door.reached;
    const working = await submit(first, answers);
    expect(working).toMatchObject({ status: 200, body: { status: 'in_progress', required_action: null } });
    const message = 'Runs in status "in_progress" do not accept tool outputs.';
    expectRefusal(await submit(first, others), { message });
    for (const sent of [answers, others]) expectRefusal(await submit(first, sent, true), { message });
    door.open();

    const second = await wire.rested(first);
    expect(second.required_action).not.toEqual(first.required_action);
    // Who sends them now has missed that the run went on: it is shown one that does, and then asked anew.
    const goesOn = { status: 'queued', required_action: null };
    expect((await submit(first, answers)).body).toMatchObject(goesOn);
    expect(await wire.get(first)).toMatchObject(goesOn);
    await expect.poll(async () => wire.get(first), { timeout: 60_000 }).toEqual(second);
    const ids = [second, first].map((run) => `['${outputsOf(run, '')[0]?.tool_call_id}']`);
    const unfit = `Expected tool outputs for call_ids ${ids[0]}, got ${ids[1]}`;
    // The client that never looks at a status is shown such a run as well, though its words are not taken.
    expectRefusal(await submit(first, others), { message: unfit });
    expect(await wire.get(first)).toMatchObject(goesOn);
    await expect.poll(async () => wire.get(first), { timeout: 10_000 }).toEqual(second);
    expectRefusal(await submit(first, others, true), { message: unfit });
    const [, step] = await wire.list(`${pathOf(first)}/steps`);
    expect(JSON.stringify(step)).toContain(`"output":"sunny ${MARK}"`);

    expect(await wire.rested(await wire.submit(second, MARK))).toMatchObject({ status: 'completed' });
    const over = 'Runs in status "completed" do not accept tool outputs.';
    for (const outputs of [answers, outputsOf(second, MARK)])
      expectRefusal(await submit(first, outputs), { message: over });
  });

  /** Shows A-OUT-07. */
  test('of a client that polls are followed by a grace, however fast the model calls again', async () => {
    upstream.reply(() => oneCall());
    const run = await wire.play(await thread(), { assistant_id });
    const answered = await wire.submit(run, MARK);
    expect(answered).toMatchObject({ status: 'queued', required_action: null });
    // The run asks anew, and those who stream see it.
    const events = await wire.stream('GET', `${pathOf(run)}/events`);
    for (const _ of ['first', 'second']) await events.until('thread.run.requires_action');
    events.close();
    const goesOn = { status: 'queued', required_action: null };
    expect(await wire.get(run)).toMatchObject(goesOn);
    expect(await wire.list(`/threads/${run.thread_id}/runs`)).toMatchObject([goesOn]);
    const again = await wire.rested(run);
    expect(again.status).toBe('requires_action');
    expect(again.required_action).not.toEqual(run.required_action);
  });

  test('of a client that streams are not', async () => {
    upstream.reply(() => oneCall());
    const polled = await wire.play(await thread(), { assistant_id });
    const run = await wire.play(await thread(), { assistant_id });
    await wire.submit(polled, MARK);
    const body = { tool_outputs: outputsOf(run, MARK), stream: true };
    const frames = await (await wire.stream('POST', `${pathOf(run)}/submit_tool_outputs`, { body })).rest();
    expect(problemsOf(frames)).toEqual([]);
    expect(namesOf(frames).at(-2)).toBe('thread.run.requires_action');
    // Answered later, and yet it waits already.
    expect(await wire.get(polled)).not.toMatchObject({ status: 'requires_action' });
  });

  /** Shows A-OUT-01, A-OUT-02. */
  test('may come in any order and may say nothing', async () => {
    upstream.reply(({ outputs }) =>
      outputs.length > 0
        ? says(outputs.join('|'))
        : calls(['a', 'b', 'c'].map((a) => ({ name: 'f', arguments: { a } }))),
    );
    const run = await wire.play(await thread(), { assistant_id });
    const [a, b, c] = outputsOf(run, MARK);
    const outputs = [{ ...c, output: 'third' }, { ...a }, { tool_call_id: b?.tool_call_id }];
    expect((await submit(run, outputs)).status).toBe(200);
    await wire.rested(run);
    const [answer] = await wire.list(`/threads/${run.thread_id}/messages`);
    expect(textOf(answer)).toBe(`${MARK}|(no output)|third`);
  });
});

describe('a cancel', () => {
  const CLOSED = {
    required_action: null,
    failed_at: null,
    completed_at: null,
    expires_at: null,
    last_error: null,
  };
  const time: unknown = expect.toSatisfy((value) => Number.isInteger(value), 'a time');

  /** Shows A-CANCEL-01, A-CANCEL-02, A-CANCEL-05, A-CANCEL-07, A-HELP-06, A-INV-06, A-INV-11, A-LIFE-07. */
  /** Shows A-ORDER-11, A-STEP-14. */
  test('in the middle of the answer hangs up on the model, and keeps what was said', async () => {
    const { run, stream } = await speakingRun();
    const reply = await cancel(run);
    expect(reply).toMatchObject({
      status: 200,
      body: { id: run.id, status: 'cancelling', cancelled_at: null },
    });
    expect(reply.headers.get('openai-poll-after-ms')).toBe('250');
    const frames = await stream.rest();
    expect(namesOf(frames)).toEqual([
      'thread.run.cancelling',
      'thread.message.incomplete',
      'thread.run.step.cancelled',
      'thread.run.cancelled',
      'done',
    ]);
    expect(await lastAsked().closed).toMatchObject({ by: 'client' });
    const ended = await wire.get(run);
    expect(ended).toMatchObject({ ...CLOSED, status: 'cancelled', cancelled_at: time });
    expect(frames.map(({ data }) => data).slice(1, 4)).toEqual([
      ...(await wire.list(`/threads/${run.thread_id}/messages?limit=1`)),
      ...(await wire.list(`${pathOf(run)}/steps`)),
      ended,
    ]);
    expect(frames[1]?.data).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'run_cancelled' },
      incomplete_at: time,
      content: [{ text: { value: `Once ${MARK}` } }],
    });
    expect(frames[2]?.data).toMatchObject({ status: 'cancelled', cancelled_at: time, expires_at: null });
  });

  /** Shows A-CANCEL-07, A-FRAME-07, A-ORDER-12. */
  test('before the model says anything hangs up, too', async () => {
    const door = gate();
    upstream.reply(() => [door]);
    const stream = await wire.stream('POST', `/threads/${await thread()}/runs`, {
      body: { assistant_id, stream: true },
    });
    const run = runIn((await stream.next()) ?? undefined);
    await door.reached;
    await cancel(run);
    const frames = await stream.rest();
    expect(namesOf(frames).slice(-3)).toEqual(['thread.run.cancelling', 'thread.run.cancelled', 'done']);
    expect(await lastAsked().closed).toMatchObject({ by: 'client' });
  });

  /** Shows A-CANCEL-01, A-CANCEL-06, A-LOCK-05, A-STEP-11, A-STEP-14. */
  test('of a run that waits ends it at once, and its calls stay without answers', async () => {
    const run = await waitingRun();
    expect(await cancel(run)).toMatchObject({
      status: 200,
      body: { status: 'cancelling', required_action: null },
    });
    expect(await wire.get(run)).toMatchObject({ ...CLOSED, status: 'cancelled', cancelled_at: time });
    const [step] = await wire.list(`${pathOf(run)}/steps`);
    expect(step).toMatchObject({
      status: 'cancelled',
      cancelled_at: time,
      completed_at: null,
      expires_at: null,
    });
    expect(JSON.stringify(step)).toContain('"output":null');
    const body = { tool_outputs: outputsOf(run, MARK) };
    expectRefusal(await wire.ask('POST', `${pathOf(run)}/submit_tool_outputs`, { body }), {
      message: 'Runs in status "cancelled" do not accept tool outputs.',
    });
    await wire.ok('POST', `/threads/${run.thread_id}/messages`, hello);
  });

  /** Shows A-CANCEL-03, A-RETRY-01. */
  test('comes too late for a run that has ended', async () => {
    const completed = await wire.play(await thread(), { assistant_id });
    upstream.reply(() => [finish('length')]);
    const incomplete = await wire.play(await thread(), { assistant_id });
    upstream.reply(() => [text(MARK), { type: 'break' }]);
    const failed = await wire.play(await thread(), { assistant_id });
    const cancelled = await waitingRun();
    await cancel(cancelled);
    const ended = { completed, incomplete, failed, cancelled };
    for (const [status, run] of Object.entries(ended)) {
      expectRefusal(await cancel(run), { message: `Cannot cancel run with status '${status}'.` });
      expect(await wire.get(run)).toMatchObject({ status });
    }
  });
});

describe('a run whose time is over', () => {
  /** Times are whole seconds, so this is at least one. */
  const SOON = { metadata: { expires_after_s: '2' } };

  /** Shows A-EXPIRY-05, A-LIFE-08, A-ORDER-13, A-STEP-12, A-STEP-14. */
  test('in the middle of its answer hangs up on the model, and keeps what was said', async () => {
    const { run, stream } = await speakingRun(SOON);
    const frames = await stream.rest();
    expect(namesOf(frames)).toEqual([
      'thread.message.incomplete',
      'thread.run.step.expired',
      'thread.run.expired',
      'done',
    ]);
    expect(await lastAsked().closed).toMatchObject({ by: 'client' });
    const ended = await wire.get(run);
    expect(ended).toMatchObject({ status: 'expired', cancelled_at: null, failed_at: null, last_error: null });
    expect(ended['expires_at']).toBe(Number(run['created_at']) + 2);
    expect(frames[0]?.data).toMatchObject({
      incomplete_details: { reason: 'run_expired' },
      content: [{ text: { value: `Once ${MARK}` } }],
    });
    const [step] = await wire.list(`${pathOf(run)}/steps`);
    expect(step).toMatchObject({ status: 'expired', expires_at: null, completed_at: null });
    expect(step?.['expired_at']).toBeGreaterThanOrEqual(Number(ended['expires_at']));
    expectRefusal(await cancel(run), { message: "Cannot cancel run with status 'expired'." });
  });

  /** Shows A-EXPIRY-06, A-LOCK-05, A-OUT-12. */
  test('is never seen waiting, whoever looks at it first, and frees its thread', async () => {
    const runs = await Promise.all([1, 2, 3, 4, 5].map(() => waitingRun(SOON)));
    const [seen, submitted, cancelled, written, next] = runs;
    // A stream that began last ends when all of their time is over.
    await (await speakingRun(SOON)).stream.rest();
    upstream.reply(() => undefined);

    if (!seen || !submitted || !cancelled || !written || !next) throw new Error('five were made');
    expect(await wire.get(seen)).toMatchObject({ status: 'expired', required_action: null });
    const [step] = await wire.list(`${pathOf(seen)}/steps`);
    expect(step).toMatchObject({ status: 'expired', type: 'tool_calls' });
    const body = { tool_outputs: outputsOf(submitted, MARK) };
    expectRefusal(await wire.ask('POST', `${pathOf(submitted)}/submit_tool_outputs`, { body }), {
      message: 'Runs in status "expired" do not accept tool outputs.',
    });
    expectRefusal(await cancel(cancelled), { message: "Cannot cancel run with status 'expired'." });
    await wire.ok('POST', `/threads/${written.thread_id}/messages`, hello);
    expect(await wire.play(next.thread_id, { assistant_id })).toMatchObject({ status: 'completed' });
  });

  /** Shows A-EXPIRY-07. */
  test('is ended when nobody looks at it, too', async () => {
    const run = await waitingRun(SOON);
    const expired = await service.waitForLog(
      (line) => line['event'] === 'run.expired' && line['run_id'] === run.id && line.process !== 'api',
    );
    expect(expired).toMatchObject({ msg: 'transition', thread_id: run.thread_id });
    expect(await wire.get(run)).toMatchObject({ status: 'expired' });
  });
});

describe('tokens', () => {
  /** Shows A-RUN-14, A-STEP-06. */
  test('are summed over the turns', async () => {
    const run = await waitingRun();
    expect(run['usage']).toBe(null);
    const ended = await wire.rested(await wire.submit(run, MARK));
    expect(ended['usage']).toMatchObject({ prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 });
    const steps = await wire.list(`${pathOf(run)}/steps`);
    expect(steps.map(({ usage }) => usage)).toMatchObject([{ total_tokens: 15 }, { total_tokens: 15 }]);
  });

  /** Shows A-LIFE-06, A-OUT-11, A-PARAM-16. */
  test('that may be said are what the turns before have left', async () => {
    upstream.reply(() => oneCall());
    const run = await wire.play(await thread(), { assistant_id, max_completion_tokens: 7 });
    expect(lastAsked().body['max_tokens']).toBe(7);
    const second = await wire.rested(await wire.submit(run, MARK));
    expect(second.status).toBe('requires_action');
    expect(lastAsked().body['max_tokens']).toBe(2);
    const asked = upstream.requests.length;
    const ended = await wire.rested(await wire.submit(second, MARK));
    const why = { incomplete_details: { reason: 'max_completion_tokens' }, completed_at: null };
    expect(ended).toMatchObject({ ...why, status: 'incomplete', usage: { completion_tokens: 10 } });
    expect(upstream.requests).toHaveLength(asked);
  });

  /** Shows A-PARAM-15. */
  test('that may be read run out, too', async () => {
    const run = await waitingRun({ max_prompt_tokens: 80, instructions: '' });
    const body = { tool_outputs: outputsOf(run, 'long '.repeat(100)), stream: true };
    const stream = await wire.stream('POST', `${pathOf(run)}/submit_tool_outputs`, { body });
    const frames = await stream.rest();
    expect(namesOf(frames).slice(-2)).toEqual(['thread.run.incomplete', 'done']);
    const details = { incomplete_details: { reason: 'max_prompt_tokens' }, usage: { prompt_tokens: 10 } };
    expect(frames.at(-2)?.data).toMatchObject(details);
  });
});

describe('a thread that is deleted under its run', () => {
  /** Shows A-FRAME-14, A-THREAD-08, A-THREAD-09. */
  test('ends the stream with an error and the question to the model, and the worker goes on', async () => {
    const { run, stream } = await speakingRun();
    const base = `/threads/${run.thread_id}`;
    expect(await wire.ok('DELETE', base)).toMatchObject({ deleted: true });
    const message = 'The run was deleted together with its thread.';
    expect(await stream.rest()).toEqual([
      {
        id: null,
        name: 'error',
        data: { error: { message, type: 'server_error', param: null, code: null } },
      },
      { id: null, name: 'done', data: '[DONE]' },
    ]);
    expect(await lastAsked().closed).toMatchObject({ by: 'client' });
    for (const path of [base, `${base}/messages`, `${base}/runs`, pathOf(run), `${pathOf(run)}/steps`])
      expectRefusal(await wire.ask('GET', path), {
        status: 404,
        message: `No thread found with id '${run.thread_id}'.`,
      });
    upstream.reply(() => undefined);
    expect(await wire.play(await thread(), { assistant_id })).toMatchObject({ status: 'completed' });
  });
});

describe('the log', () => {
  test('has a line for each transition and job, with the ids of run, thread and request', async () => {
    upstream.reply(({ outputs }) => (outputs.length > 0 ? says(MARK) : oneCall()));
    const thread_id = await thread();
    const created = await wire.ask('POST', `/threads/${thread_id}/runs`, { body: { assistant_id } });
    const run_id = String(/"id":"(run_\w+)"/.exec(created.text)?.[1]);
    const waiting = await wire.rested({ thread_id, id: run_id });
    await wire.rested(await wire.submit(waiting, MARK));
    const lines = () => service.logs.filter((line) => line['run_id'] === run_id);
    await service.waitForLog(() => lines().filter(({ msg }) => msg === 'job').length === 2);

    const request_id = created.headers.get('x-request-id');
    for (const line of lines()) expect(line).toMatchObject({ run_id, thread_id, request_id });
    const events = lines().flatMap((line) => line['event'] ?? []);
    const expected = 'run.queued run.started run.blocked run.resumed run.started run.completed'.split(' ');
    expect(events).toHaveLength(expected.length);
    expect(events).toEqual(expect.arrayContaining(expected));
    const jobs = lines().filter(({ msg }) => msg === 'job');
    expect(jobs).toMatchObject([{ process: 'worker 0', outcome: 'done' }, { outcome: 'done' }]);
  });

  test('never says what was said, or the key', async () => {
    const { run, stream } = await speakingRun();
    await cancel(run);
    expect(saidIn(await stream.rest())).toBe('');
    expect(service.logs.length).toBeGreaterThan(100);
    for (const line of service.logs) {
      const written = JSON.stringify(line);
      for (const secret of [KEY, MARK, 'upstream-key']) expect(written).not.toContain(secret);
    }
    expect(service.logs.filter(({ level }) => level >= 50)).toEqual([]);
  });
});

/**
 * A model server that is down, refuses, is busy, falls silent, breaks off or talks nonsense: its runs fail with a reason somebody can
 * act on, or are tried again while nothing was said yet; what was said stays; everything that was open is closed, in a
 * legal order; and the thread is free for the next run.
 */
/* oxlint-disable vitest/expect-expect -- play and expectFailed assert. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { problemsOf } from '../support/order.ts';
import { startService, type Service } from '../support/service.ts';
import { calls, FakeUpstream, finish, refuses, says, text, type Script } from '../support/upstream.ts';
import { namesOf, runIn, textOf, Wire, type Frame, type WireObject, type WireRun } from '../support/wire.ts';

const TOOL = { type: 'function', function: { name: 'f' } };
/** What the service shows the model server; see test/support/service.ts. */
const UPSTREAM_KEY = 'upstream-key';
/** A busy server may say when it can be asked again. */
const AT_ONCE = { 'retry-after-ms': '1' };
const RETRIES = 2;

let upstream: FakeUpstream;
let service: Service;
let wire: Wire;
let folder: string;

beforeAll(async () => {
  upstream = await FakeUpstream.start();
  folder = await mkdtemp(join(tmpdir(), 'longrun-test-'));
  const file = join(folder, 'config.json');
  const stopped = await FakeUpstream.start();
  const { baseUrl } = stopped;
  await stopped.stop();
  await writeFile(file, JSON.stringify({ upstreams: [{ name: 'dead', baseUrl }] }));
  const env = {
    LONGRUN_CONFIG: file,
    UPSTREAM_IDLE_MS: '2000',
    UPSTREAM_RETRIES: String(RETRIES),
    UPSTREAM_WAIT_MS: '1500',
  };
  service = await startService({ redisUrl: inject('redisUrl'), upstream, env });
  wire = new Wire(service.baseUrl);
});

afterAll(async () => {
  await service?.stop();
  await upstream?.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Ended {
  readonly frames: readonly Frame[];
  readonly run: WireRun;
  readonly steps: readonly WireObject[];
  /** The assistant's messages. */
  readonly messages: readonly WireObject[];
  /** How often the model was asked. */
  readonly tries: number;
}

/** Streams a run over a new thread; whatever the fault, what every end has in common is checked here. */
async function play(reply: () => Script, assistant: object = {}): Promise<Ended> {
  upstream.reply(reply);
  const askedBefore = upstream.requests.length;
  const { id: assistant_id } = await wire.ok('POST', '/assistants', {
    model: 'm',
    tools: [TOOL],
    ...assistant,
  });
  const thread = await wire.thread('hello');
  const body = { assistant_id, stream: true };
  const frames = await (await wire.stream('POST', `/threads/${thread}/runs`, { body })).rest();
  const tries = upstream.requests.length - askedBefore;

  expect(problemsOf(frames)).toEqual([]);
  const run = await wire.get(runIn(frames[0]));
  expect(frames.at(-2)).toEqual({ id: null, name: `thread.run.${run.status}`, data: run });
  const steps = await wire.list(`/threads/${thread}/runs/${run.id}/steps?order=asc`);
  const messages = await wire.list(`/threads/${thread}/messages?order=asc&run_id=${run.id}`);
  // What the stream said last of everything is what is stored.
  for (const object of [...steps, ...messages])
    expect(frames.findLast(({ data }) => Object.is(idOf(data), object.id))?.data).toEqual(object);
  expect(JSON.stringify([run, steps, messages])).not.toContain(UPSTREAM_KEY);

  await wire.ok('POST', `/threads/${thread}/messages`, { role: 'user', content: 'again' });
  upstream.reply(() => undefined);
  expect(await wire.play(thread, { assistant_id, metadata: { backend_id: 'default' } })).toMatchObject({
    status: 'completed',
  });
  return { frames, run, steps, messages, tries };
}

function idOf(data: unknown): unknown {
  return typeof data === 'object' && data !== null && 'id' in data ? data.id : undefined;
}

const like = (pattern: RegExp): unknown => expect.stringMatching(pattern);
const now: unknown = expect.toSatisfy((value) => Number.isInteger(value), 'a time');

interface Reason {
  readonly code: 'server_error' | 'rate_limit_exceeded' | 'invalid_prompt';
  readonly message: RegExp;
}

/** What was said before a failure has been paid for, and is estimated where the model server does not tell. */
function expectFailed({ run }: Ended, { code, message }: Reason, hasSpoken = false): void {
  const tokens: unknown = expect.toSatisfy(
    (value) => Number(value) > 0 === hasSpoken,
    'tokens of what was said',
  );
  const usage: unknown = expect.objectContaining({
    prompt_tokens: tokens,
    completion_tokens: tokens,
    total_tokens: tokens,
  });
  expect(run).toMatchObject({
    status: 'failed',
    last_error: { code, message: like(message) },
    failed_at: now,
    completed_at: null,
    cancelled_at: null,
    expires_at: null,
    required_action: null,
    incomplete_details: null,
    usage,
  });
}

/** Plays these one after the other, the last one for ever. */
function inTurn(...scripts: readonly Script[]): () => Script {
  let turn = 0;
  return () => scripts[Math.min(turn++, scripts.length - 1)] ?? [];
}

const BEGUN = ['thread.run.created', 'thread.run.queued', 'thread.run.in_progress'];
const line = (content: string): Script => [{ type: 'line', line: content }];

describe('before it said anything, a model server that', () => {
  const silent: readonly [string, Script, number, Reason][] = [
    [
      'does not like our key is not asked again, and its operator is told where the key is set',
      refuses(401, `Incorrect API key provided: ${UPSTREAM_KEY}`),
      1,
      {
        code: 'server_error',
        message: /^The upstream 'default' refused its key \(401\)\. Check .*OPENAI_API_KEY/,
      },
    ],
    [
      'refuses the prompt is not asked again',
      refuses(400, 'This model’s maximum context length is 8 tokens.'),
      1,
      { code: 'invalid_prompt', message: /^This model’s maximum context length is 8 tokens\.$/ },
    ],
    [
      'does not know the model is not asked again',
      refuses(404, 'no such model'),
      1,
      {
        code: 'server_error',
        message: /^The upstream 'default' does not know the model 'm'.*GET \/v1\/models lists/,
      },
    ],
    [
      'is busy is asked again, and is busy still',
      refuses(429, 'Rate limit reached for m', AT_ONCE),
      1 + RETRIES,
      { code: 'rate_limit_exceeded', message: /^Rate limit reached for m$/ },
    ],
    [
      'is ill is asked again, and is ill still',
      refuses(500, 'out of memory', AT_ONCE),
      1 + RETRIES,
      { code: 'server_error', message: /^The upstream 'default' failed \(500\)\. It said: out of memory$/ },
    ],
    [
      'says nothing is not waited for twice',
      [{ type: 'stall' }],
      1,
      {
        code: 'server_error',
        message: /^The upstream 'default' sent nothing for 2 s and was given up\.$/,
      },
    ],
    [
      'talks nonsense is asked again',
      line('data: {nonsense'),
      1 + RETRIES,
      { code: 'server_error', message: /^The upstream 'default' sent something that is not .*: \{nonsense/ },
    ],
    [
      'merely stops is asked again, and has not answered',
      [text(' \n'), finish('stop')],
      1 + RETRIES,
      { code: 'server_error', message: /^The upstream 'default' ended its answer without a word or a call/ },
    ],
    [
      'sends an error in its stream is believed',
      line('data: {"error":{"message":"The prompt was flagged.","code":"content_policy_violation"}}'),
      1,
      { code: 'invalid_prompt', message: /The prompt was flagged\./ },
    ],
  ];
  /** Shows A-ASST-17, A-LIFE-05, A-LIFE-09, A-LIFE-10, A-LIFE-12, A-ORDER-09, A-RUN-23. */
  test.each(silent)('%s', async (_, script, tries, reason) => {
    const ended = await play(() => script);
    expectFailed(ended, reason);
    expect(ended.tries).toBe(tries);
    expect(namesOf(ended.frames)).toEqual([...BEGUN, 'thread.run.failed', 'done']);
    expect(ended.steps).toEqual([]);
    expect(ended.messages).toEqual([]);
  });

  const passing: readonly [string, Script][] = [
    ['is busy for a moment', refuses(429, 'Rate limit reached', AT_ONCE)],
    ['is ill for a moment', refuses(503, 'loading the model', AT_ONCE)],
    ['hangs up', [{ type: 'break' }]],
  ];
  /** Shows A-MAP-21. */
  test.each(passing)('%s is asked again, and nobody notices', async (_, script) => {
    const ended = await play(inTurn(script, says('Hello', ' there.')));
    expect(ended.tries).toBe(2);
    expect(ended.run).toMatchObject({ status: 'completed', last_error: null });
    expect(ended.messages.map(textOf)).toEqual(['Hello there.']);
    expect(ended.steps).toHaveLength(1);
  });

  test('is not there is waited for, and is to be started', async () => {
    const ended = await play(() => [], { metadata: { backend_id: 'dead' } });
    expectFailed(ended, {
      code: 'server_error',
      message:
        /^The upstream 'dead' cannot be reached \(ECONNREFUSED\)\. Check that it runs, and its baseUrl\. .*never answered this worker\.$/,
    });
    const told = service.logs.filter(({ msg }) => msg.includes('that cannot answer yet is waited for'));
    const ours = told.filter((logged) => logged['upstream'] === 'dead');
    expect(ours).toHaveLength(1);
    expect(ours[0]?.['run_id']).toBe(ended.run.id);
    expect(ours[0]?.['reason']).toMatch(/cannot be reached \(ECONNREFUSED\)/);
  });

  test('is not in the configuration is to be put there', async () => {
    const ended = await play(() => [], { metadata: { backend_id: 'unheard of' } });
    const message =
      /^The backend_id 'unheard of' names no upstream of this server\. It knows 'dead', 'default'/;
    expectFailed(ended, { code: 'server_error', message });
  });
});

describe('in the middle of its answer, a model server that', () => {
  const broken: readonly [string, Script, RegExp][] = [
    ['breaks off', [text('Once'), text(' upon'), { type: 'break' }], /^The upstream 'default' broke off/],
    [
      'falls silent',
      [text('Once'), text(' upon'), { type: 'stall' }],
      /^The upstream 'default' sent nothing for 2 s/,
    ],
    [
      'talks nonsense',
      [text('Once'), text(' upon'), ...line('data: <html>')],
      /^The upstream 'default' sent something that is not/,
    ],
    [
      'sends an error',
      [text('Once'), text(' upon'), ...line('data: {"error":{"message":"GPU on fire","code":500}}')],
      /GPU on fire/,
    ],
  ];
  /** Shows A-DELTA-08, A-FRAME-09, A-INV-01, A-INV-04, A-INV-05, A-INV-06, A-INV-11, A-LIFE-12. */
  /** Shows A-LIFE-13, A-LOCK-05, A-MAP-21, A-ORDER-08, A-ORDER-15, A-STEP-13, A-STEP-14. */
  test.each(broken)('%s leaves what it said, and is not asked again', async (_, script, message) => {
    const ended = await play(() => script);
    const reason: Reason = { code: 'server_error', message };
    expectFailed(ended, reason, true);
    expect(ended.tries).toBe(1);
    expect(namesOf(ended.frames).slice(-4)).toEqual([
      'thread.message.incomplete',
      'thread.run.step.failed',
      'thread.run.failed',
      'done',
    ]);
    expect(ended.messages).toMatchObject([
      {
        status: 'incomplete',
        incomplete_at: now,
        completed_at: null,
        incomplete_details: { reason: 'run_failed' },
      },
    ]);
    expect(ended.messages.map(textOf)).toEqual(['Once upon']);
    expect(ended.steps).toMatchObject([
      {
        status: 'failed',
        failed_at: now,
        completed_at: null,
        expires_at: null,
        last_error: ended.run.last_error,
      },
    ]);
  });

  /** Shows A-ORDER-14. */
  test('breaks off in the middle of a call leaves nothing to be answered', async () => {
    const [call, fragment] = calls([{ name: 'f', arguments: { city: 'Taipei' } }]);
    const half = [call, fragment].flatMap((step) => step ?? []);
    const ended = await play(() => [text('Let me see.'), ...half, { type: 'break' }]);
    expectFailed(ended, { code: 'server_error', message: /broke off/ }, true);
    expect(namesOf(ended.frames).slice(-3)).toEqual(['thread.run.step.failed', 'thread.run.failed', 'done']);
    expect(ended.messages.map(textOf)).toEqual(['Let me see.']);
    expect(ended.steps.map(({ type, status }) => ({ type, status }))).toEqual([
      { type: 'message_creation', status: 'completed' },
      { type: 'tool_calls', status: 'failed' },
    ]);
  });
});

describe('an answer that is not what one hoped for', () => {
  const incomplete: readonly [string, 'length' | 'content_filter', string, string][] = [
    ['too long', 'length', 'max_completion_tokens', 'max_tokens'],
    ['filtered', 'content_filter', 'content_filter', 'content_filter'],
  ];
  /** Shows A-LIFE-06, A-LIFE-14, A-LIFE-15, A-LOCK-05. */
  test.each(incomplete)('is incomplete when it was %s', async (_, reason, ofRun, ofMessage) => {
    const ended = await play(() => [text('Once'), text(' upon'), finish(reason)]);
    const details = { status: 'incomplete', incomplete_details: { reason: ofRun }, last_error: null };
    expect(ended.run).toMatchObject({ ...details, completed_at: null, failed_at: null, expires_at: null });
    expect(ended.run['usage']).toMatchObject({ total_tokens: 15 });
    expect(ended.messages).toMatchObject([
      { status: 'incomplete', incomplete_at: now, incomplete_details: { reason: ofMessage } },
    ]);
    expect(ended.messages.map(textOf)).toEqual(['Once upon']);
    expect(ended.steps).toMatchObject([{ status: 'completed', usage: { total_tokens: 15 } }]);
  });

  /** Shows A-LIFE-16. */
  test('is incomplete when it was too long in the middle of a call, which nobody is asked to answer', async () => {
    const [call, fragment] = calls([{ name: 'f', arguments: { city: 'Taipei' } }]);
    const ended = await play(() => [...[call, fragment].flatMap((step) => step ?? []), finish('length')]);
    const details = { incomplete_details: { reason: 'max_completion_tokens' }, required_action: null };
    expect(ended.run).toMatchObject({ status: 'incomplete', ...details });
    expect(ended.steps).toMatchObject([{ type: 'tool_calls', status: 'failed' }]);
  });

  /** Shows A-INV-07, A-ORDER-16. */
  test('is a message without a word when there was no room for one', async () => {
    const ended = await play(() => [finish('length')]);
    expect(ended.run.status).toBe('incomplete');
    expect(ended.messages).toMatchObject([{ status: 'incomplete', content: [{ text: { value: '' } }] }]);
    expect(namesOf(ended.frames).filter((name) => name === 'thread.message.delta')).toHaveLength(1);
  });
});

test('the log names no key and quotes no model', () => {
  const log = JSON.stringify(service.logs);
  for (const secret of [UPSTREAM_KEY, 'Once', 'hello', 'Let me see']) expect(log).not.toContain(secret);
});

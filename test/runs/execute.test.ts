/** The agent loop: which events a completion becomes, in exactly which order, and that any completion folds. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { noOtherTools } from '../support/hosted.ts';
import type { RunEvent } from '../../src/runs/event.ts';
import { execute, type Execution } from '../../src/runs/execute.ts';
import { ModelError, type Model, type ModelPart, type ModelRequest } from '../../src/runs/model.ts';
import type { History } from '../../src/runs/blocks.ts';
import { callsOf } from '../../src/runs/parts.ts';
import { applyAll, isBlocked, isTerminal, pendingCalls, type RunState } from '../../src/runs/run.ts';
import type { FunctionTool, Message, Run } from '../../src/runs/thread.ts';
import type { RunTool, ToolCall } from '../../src/runs/tool.ts';
import { argumentsOf, stateAfter, usage } from './histories.ts';

const NOW = 2_000;
const AT = { at: NOW };
const SEARCH: FunctionTool = {
  type: 'function',
  function: { name: 'SEARCH', parameters: { type: 'object' }, strict: false },
};

/** What the model does next: a part, a failure, or nothing until it is aborted. */
type Move = ModelPart | ModelError | 'silence';

/** A model that says what it is told to, and remembers what it was asked. */
class ScriptedModel implements Model {
  readonly asked: ModelRequest[] = [];
  private readonly script: readonly Move[];

  constructor(script: readonly Move[]) {
    this.script = script;
  }

  async *stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelPart, void> {
    this.asked.push(request);
    for (const move of this.script) {
      signal.throwIfAborted();
      if (move === 'silence') {
        await new Promise((_, reject) => {
          signal.addEventListener('abort', reject, { once: true });
        }).catch(() => signal.throwIfAborted());
      } else if (move instanceof ModelError) throw move;
      else yield move;
    }
  }
}

const say = (text: string): ModelPart => ({ type: 'text', text });
const call = (index: number, name = 'SEARCH'): ModelPart => ({
  type: 'call',
  index,
  id: `call_${index}`,
  name,
});
const args = (index: number, text: string): ModelPart => ({ type: 'arguments', index, text });
const USAGE = usage(7);
const finish = (reason: 'stop' | 'length' | 'content_filter' = 'stop', reported = true): ModelPart => ({
  type: 'finish',
  reason,
  usage: reported ? USAGE : null,
});

const QUESTION: Message = {
  id: 'msg_question',
  object: 'thread.message',
  created_at: 1,
  thread_id: 'thread_1',
  status: 'completed',
  incomplete_details: null,
  completed_at: 1,
  incomplete_at: null,
  role: 'user',
  content: [{ type: 'text', text: { value: 'What is new?', annotations: [] } }],
  assistant_id: null,
  run_id: null,
  attachments: [],
  metadata: {},
};

/** A started run with a tool, and these settings. */
function started(settings: Partial<Run> = {}): RunState {
  const state = stateAfter(['run.started']);
  return { ...state, run: { ...state.run, tools: [SEARCH], ...settings } };
}

/** The history of a run in a thread with these items. */
const historyOf = (items: readonly Message[]): History => ({ input: [], items });

function context(model: Model, more: Partial<Execution> = {}): Execution {
  let ids = 0;
  return {
    model,
    runTool: async () => ({ error: 'no tool was expected to run' }),
    ...noOtherTools,
    secretsIn: () => ({}),
    now: () => NOW,
    newId: (prefix) => `${prefix}_${(ids += 1)}`,
    signal: new AbortController().signal,
    contextTokens: () => 10_000,
    ...more,
  };
}

interface Outcome {
  readonly batches: readonly (readonly RunEvent[])[];
  readonly events: readonly RunEvent[];
  /** What the events make of the run: nothing leaves the loop that does not fold. */
  readonly after: RunState;
}

async function play(script: readonly Move[], settings: Partial<Run> = {}): Promise<Outcome> {
  const state = started(settings);
  const batches = await Array.fromAsync(
    execute(state, historyOf([QUESTION]), context(new ScriptedModel(script))),
  );
  const events = batches.flat();
  return { batches, events, after: applyAll(state, events) };
}

const OPEN_MESSAGE: readonly RunEvent[] = [
  { type: 'step.created', ...AT, step_id: 'step_2', message_id: 'msg_1' },
  { type: 'message.created', ...AT, message_id: 'msg_1' },
];
const delta = (text: string): RunEvent => ({ type: 'message.delta', text });
const stepCompleted = (spent = USAGE): RunEvent => ({
  type: 'step.completed',
  ...AT,
  usage: spent,
  outputs: null,
});
const openCalls = (id: string): RunEvent => ({
  type: 'step.created',
  ...AT,
  step_id: id,
  message_id: null,
});
const called = (index: number): RunEvent => ({
  type: 'tool.called',
  index,
  call_id: `call_${index}`,
  name: 'SEARCH',
});
const toolDelta = (index: number, text: string): RunEvent => ({ type: 'tool.delta', index, arguments: text });
const blocked: RunEvent = { type: 'run.blocked', ...AT, usage: USAGE };

describe('a completion', () => {
  test('of text opens a step and a message, grows it, closes both and completes the run', async () => {
    const { batches, after } = await play([say('Hel'), say('lo'), finish()]);
    expect(batches).toStrictEqual([
      [...OPEN_MESSAGE, delta('Hel')],
      [delta('lo')],
      [{ type: 'message.completed', ...AT }, stepCompleted(), { type: 'run.completed', ...AT }],
    ]);
    expect(after.run).toMatchObject({ status: 'completed', usage: USAGE });
  });

  /** Shows A-MAP-16, A-ORDER-05, A-STEP-04. */
  test('of calls opens one step, says call after call, and leaves the step open for the client', async () => {
    const { events, after } = await play([
      call(0),
      args(0, '{"q":'),
      args(0, '1}'),
      call(1),
      args(1, '{}'),
      finish(),
    ]);
    expect(events).toStrictEqual([
      openCalls('step_1'),
      called(0),
      toolDelta(0, '{"q":'),
      toolDelta(0, '1}'),
      called(1),
      toolDelta(1, '{}'),
      blocked,
    ]);
    expect(after.run).toMatchObject({ status: 'requires_action', usage: null });
    expect(pendingCalls(after.run).map(argumentsOf)).toStrictEqual(['{"q":1}', '{}']);
    expect(after.step?.status).toBe('in_progress');
  });

  /** Shows A-ORDER-07, A-STEP-09. */
  test('of text and calls closes the message before the calls, which account for the tokens of both', async () => {
    const { events, after } = await play([say('Wait.'), call(0), args(0, '{}'), finish()]);
    expect(events).toStrictEqual([
      ...OPEN_MESSAGE,
      delta('Wait.'),
      { type: 'message.completed', ...AT },
      { ...stepCompleted(), usage: usage(0) },
      openCalls('step_3'),
      called(0),
      toolDelta(0, '{}'),
      blocked,
    ]);
    expect(after.owed).toStrictEqual(USAGE);
  });

  /** Shows A-INV-07, A-MAP-17. */
  test('without a word becomes a message with one empty text', async () => {
    const { events } = await play([finish()]);
    expect(events).toStrictEqual([
      ...OPEN_MESSAGE,
      delta(''),
      { type: 'message.completed', ...AT },
      stepCompleted(),
      { type: 'run.completed', ...AT },
    ]);
  });

  test('a call without arguments is still a call', async () => {
    const { after } = await play([call(0), finish()]);
    expect(pendingCalls(after.run)).toStrictEqual([
      { id: 'call_0', type: 'function', function: { name: 'SEARCH', arguments: '' } },
    ]);
  });

  test('text behind a call is not said', async () => {
    const script = [call(0), say('mumble'), args(0, '{}'), say('mumble'), finish()];
    const { batches, events } = await play(script);
    expect(events).toStrictEqual([openCalls('step_1'), called(0), toolDelta(0, '{}'), blocked]);
    expect(batches.every((batch) => batch.length > 0)).toBe(true);
  });
});

describe('thoughts', () => {
  const think = (text: string): ModelPart => ({ type: 'thought', field: 'reasoning_content', text });
  const thought = (text: string): RunEvent => ({ type: 'thought.delta', field: 'reasoning_content', text });

  test('may come before calls without a word, and go with them to the next question', async () => {
    const asked: ModelRequest[] = [];
    const scripts = [
      [think('Hm. '), think('The news.'), call(0), args(0, '{}'), finish()],
      [think('Done.'), say('Nothing.'), finish()],
    ];
    const model: Model = {
      async *stream(request) {
        asked.push(request);
        yield* scripts[asked.length - 1] ?? [];
      },
    };
    const { origin, ...rest } = started();
    const state = { ...rest, origin: { ...origin, server_tools: ['SEARCH'] } };
    const batches = await Array.fromAsync(
      execute(state, historyOf([QUESTION]), context(model, { runTool: async () => 'none' })),
    );
    const events = batches.flat();
    expect(events.slice(0, 4)).toStrictEqual([
      thought('Hm. '),
      thought('The news.'),
      openCalls('step_1'),
      called(0),
    ]);
    expect(applyAll(state, events).run.status).toBe('completed');
    expect(asked[1]?.messages[1]).toMatchObject({
      role: 'assistant',
      content: null,
      reasoning_content: 'Hm. The news.',
      tool_calls: [{ id: 'call_0' }],
    });
  });

  test('that led to nothing are dropped, and are no part of what was said', async () => {
    const script = [
      think('x'.repeat(400)),
      { type: 'again' } as const,
      think('1234'),
      say('5678'),
      finish('stop', false),
    ];
    const { events, after } = await play(script);
    expect(events.map(({ type }) => type).slice(0, 3)).toEqual([
      'thought.delta',
      'thought.dropped',
      'thought.delta',
    ]);
    expect(after.run.usage).toMatchObject({ completion_tokens: 4 });
  });
});

test('the output of a tool that is a picture is never cut', async () => {
  const picture = `data:image/png;base64,${'A'.repeat(100_000)}`;
  const { origin, ...rest } = started();
  const state = { ...rest, origin: { ...origin, server_tools: ['SEARCH'] } };
  const outputs = [picture, 'x'.repeat(100_000)];
  for (const output of outputs) {
    const model = new ScriptedModel([call(0), args(0, '{}'), finish()]);
    const events = execute(state, historyOf([QUESTION]), context(model, { runTool: async () => output }));
    for await (const batch of events) {
      const [event] = batch;
      if (event?.type !== 'tool.answered') continue;
      expect(event.output.length).toBe(output === picture ? picture.length : 32_000 + ' … (cut)'.length);
      break;
    }
  }
  expect.assertions(outputs.length);
});

describe('a model that ignores what it is told', () => {
  /** Shows A-PARAM-10. */
  test('may call once when parallel calls are off; the other calls are dropped', async () => {
    const script = [call(0), args(0, '{}'), call(1), args(1, '{}'), call(2), finish()];
    const { events, after } = await play(script, { parallel_tool_calls: false });
    expect(events).toStrictEqual([openCalls('step_1'), called(0), toolDelta(0, '{}'), blocked]);
    expect(pendingCalls(after.run)).toHaveLength(1);
  });

  /** Shows A-PARAM-07. */
  test.each<[string, Partial<Run>]>([
    ['tool_choice is none', { tool_choice: 'none' }],
    ['the run has no tools', { tools: [] }],
  ])('may not call at all when %s: its text goes on', async (_, settings) => {
    const { events } = await play([say('a'), call(0), args(0, '{}'), say('b'), finish()], settings);
    expect(events).toStrictEqual([
      ...OPEN_MESSAGE,
      delta('a'),
      delta('b'),
      { type: 'message.completed', ...AT },
      stepCompleted(),
      { type: 'run.completed', ...AT },
    ]);
    const silent = await play([call(0), args(0, '{}'), finish()], settings);
    expect(silent.after.run).toMatchObject({
      status: 'failed',
      last_error: {
        code: 'server_error',
        message: "The model called the tool 'SEARCH' although it may call none now, and said nothing else.",
      },
    });
    expect(silent.events).toHaveLength(1);
  });
});

describe('a completion that stops short', () => {
  const stops = [
    ['length', 'max_tokens', 'max_completion_tokens'],
    ['content_filter', 'content_filter', 'content_filter'],
  ] as const;

  /** Shows A-LIFE-14, A-LIFE-15. */
  test.each(stops)('by %s, with text: the message is incomplete, its step complete', async (...stop) => {
    const [reason, message, run] = stop;
    const { events } = await play([say('Once upon'), finish(reason)]);
    expect(events).toStrictEqual([
      ...OPEN_MESSAGE,
      delta('Once upon'),
      { type: 'message.incomplete', ...AT, reason: message, dropped: false },
      stepCompleted(),
      { type: 'run.incomplete', ...AT, reason: run },
    ]);
  });

  /** Shows A-LIFE-16. */
  test.each(stops)('by %s, with calls: the step fails and nobody is asked to answer it', async (...stop) => {
    const [reason, , run] = stop;
    const { events, after } = await play([call(0), args(0, '{"q'), finish(reason)]);
    expect(events).toStrictEqual([
      openCalls('step_1'),
      called(0),
      toolDelta(0, '{"q'),
      {
        type: 'step.failed',
        ...AT,
        usage: USAGE,
        error: { code: 'server_error', message: 'The model stopped before its tool calls were complete.' },
      },
      { type: 'run.incomplete', ...AT, reason: run },
    ]);
    expect(after.run.required_action).toBeNull();
  });

  /** Shows A-INV-07. */
  test.each(stops)('by %s, with nothing: there is a message all the same', async (...stop) => {
    const [reason, message, run] = stop;
    const { events } = await play([finish(reason)]);
    expect(events).toStrictEqual([
      ...OPEN_MESSAGE,
      delta(''),
      { type: 'message.incomplete', ...AT, reason: message, dropped: false },
      stepCompleted(),
      { type: 'run.incomplete', ...AT, reason: run },
    ]);
  });
});

describe('usage', () => {
  /** Shows A-MAP-18. */
  test('that the upstream does not report is estimated from what was asked and heard', async () => {
    const { after } = await play([say('12345678'), finish('stop', false)]);
    // The question: four tokens for a message, four for three words and a sign; eleven for the tool. The answer: eight digits.
    expect(after.run.usage).toStrictEqual({
      ...usage(0),
      prompt_tokens: 19,
      completion_tokens: 4,
      total_tokens: 23,
    });
  });

  /** Shows A-MAP-18. */
  test('is estimated for calls as well, and never null on a run that has ended', async () => {
    const { after } = await play([call(0), args(0, '{}'), finish('stop', false)]);
    expect(after.owed).toStrictEqual({
      ...usage(0),
      prompt_tokens: 19,
      completion_tokens: 3,
      total_tokens: 22,
    });
    expect((await play([finish('length', false)])).after.run.usage).toMatchObject({ completion_tokens: 0 });
  });
});

describe('a model that fails', () => {
  const error = new ModelError('rate_limit_exceeded', 'Rate limit reached.');
  const lastError = { code: 'rate_limit_exceeded', message: 'Rate limit reached.' } as const;
  const facts = { reason: 'Rate limit reached.' };
  const failed: RunEvent = { type: 'run.failed', ...AT, error: lastError, facts };
  /** What was said is estimated, as the model server reports nothing of it. */
  const stepFailed = (completion_tokens: number): RunEvent => ({
    type: 'step.failed',
    ...AT,
    usage: { ...usage(0), prompt_tokens: 19, completion_tokens, total_tokens: 19 + completion_tokens },
    error: lastError,
  });

  test('before the first part: the run fails, and nothing was opened', async () => {
    expect((await play([error])).events).toStrictEqual([failed]);
  });

  test('in a message: what was said stays, closed from the inside out', async () => {
    const { events, after } = await play([say('Once'), error]);
    expect(events).toStrictEqual([
      ...OPEN_MESSAGE,
      delta('Once'),
      { type: 'message.incomplete', ...AT, reason: 'run_failed', dropped: false },
      stepFailed(1),
      failed,
    ]);
    expect(after.run).toMatchObject({
      status: 'failed',
      last_error: lastError,
      usage: { total_tokens: 20 },
    });
  });

  test('in its calls: the step fails with the run', async () => {
    const { events } = await play([say('a'), call(0), args(0, '{'), error]);
    expect(events.slice(-3)).toStrictEqual([toolDelta(0, '{'), stepFailed(4), failed]);
  });

  test('with anything but a ModelError: that is a bug, and goes through', async () => {
    const bug = new TypeError('a bug');
    const model: Model = {
      // oxlint-disable-next-line require-yield -- it breaks before it says anything
      async *stream() {
        throw bug;
      },
    };
    await expect(execute(started(), historyOf([QUESTION]), context(model)).next()).rejects.toBe(bug);
  });
});

describe('budgets', () => {
  test('an exhausted run ends without asking the model', async () => {
    const model = new ScriptedModel([say('never'), finish()]);
    const state: RunState = { ...started({ max_completion_tokens: 5 }), spent: usage(5) };
    expect(await Array.fromAsync(execute(state, historyOf([QUESTION]), context(model)))).toStrictEqual([
      [{ type: 'run.incomplete', ...AT, reason: 'max_completion_tokens' }],
    ]);
    const short = started({ max_prompt_tokens: 1 });
    expect(await Array.fromAsync(execute(short, historyOf([QUESTION]), context(model)))).toStrictEqual([
      [{ type: 'run.incomplete', ...AT, reason: 'max_prompt_tokens' }],
    ]);
    expect(model.asked).toStrictEqual([]);
  });

  test('a run that has nothing to ask fails with words, and the model is not asked', async () => {
    const model = new ScriptedModel([say('never'), finish()]);
    const batches = await Array.fromAsync(
      execute(started({ instructions: '' }), historyOf([]), context(model)),
    );
    expect(batches).toMatchObject([[{ type: 'run.failed', error: { code: 'invalid_prompt' } }]]);
    expect(JSON.stringify(batches)).toContain('Add a message.');
    expect(model.asked).toStrictEqual([]);
  });

  test('the model is asked once, with the prompt of the run', async () => {
    const model = new ScriptedModel([finish()]);
    const state = started({ instructions: 'Be brief.', max_completion_tokens: 50 });
    await Array.fromAsync(execute(state, historyOf([QUESTION]), context(model)));
    expect(model.asked).toMatchObject([
      {
        max_completion_tokens: 50,
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'What is new?' },
        ],
      },
    ]);
  });
});

test('a tool is told whose run it answers', async () => {
  const state = started();
  const origin = { ...state.origin, project: 'p-1', server_tools: ['SEARCH'] };
  const calls: ToolCall[] = [];
  const runTool: RunTool = async (_name, _written, asked) => void calls.push(asked);
  const model = new ScriptedModel([call(0), args(0, '{}'), finish()]);
  const events = execute({ ...state, origin }, historyOf([QUESTION]), context(model, { runTool }));
  while (calls.length === 0) await events.next();
  expect(calls).toMatchObject([{ project: 'p-1', runId: state.run.id, callId: 'call_0' }]);
});

describe('an abort', () => {
  test('throws its reason, whatever the model was doing, and nothing more is said', async () => {
    const controller = new AbortController();
    const reason = new Error('the run was cancelled');
    const model = new ScriptedModel([say('a'), 'silence', say('b'), finish()]);
    const events = execute(started(), historyOf([QUESTION]), context(model, { signal: controller.signal }));
    expect((await events.next()).value).toHaveLength(3);
    const next = events.next();
    controller.abort(reason);
    await expect(next).rejects.toBe(reason);
    expect(await events.next()).toStrictEqual({ value: undefined, done: true });
  });

  test('before the model is asked throws as well', async () => {
    const reason = new Error('too late');
    const model = new ScriptedModel([finish()]);
    const events = execute(
      started(),
      historyOf([QUESTION]),
      context(model, { signal: AbortSignal.abort(reason) }),
    );
    await expect(events.next()).rejects.toBe(reason);
  });
});

describe('any completion', () => {
  /** Text, calls in order of appearance, arguments of a call that was made; then an end. */
  const script: fc.Arbitrary<readonly Move[]> = fc
    .record({
      moves: fc.array(fc.record({ kind: fc.constantFrom('text', 'call', 'arguments'), pick: fc.nat() })),
      end: fc.constantFrom<Move>(
        finish('stop'),
        finish('length'),
        finish('content_filter'),
        finish('stop', false),
        new ModelError('server_error', 'The upstream broke off.'),
      ),
    })
    .map(({ moves, end }) => {
      let calls = 0;
      const parts = moves.map(({ kind, pick }): ModelPart => {
        if (kind === 'call') return call(calls++);
        return kind === 'arguments' && calls > 0 ? args(pick % calls, `${pick}`) : say(`${pick} `);
      });
      return [...parts, end];
    });
  const settings: fc.Arbitrary<Partial<Run>> = fc.record({
    parallel_tool_calls: fc.boolean(),
    tool_choice: fc.constantFrom('auto' as const, 'none' as const, 'required' as const),
    tools: fc.constantFrom([SEARCH], []),
  });

  test('folds batch by batch, and leaves the run blocked or ended', async () => {
    await fc.assert(
      fc.asyncProperty(script, settings, async (moves, chosen) => {
        const { after, batches } = await play(moves, chosen);
        expect(isBlocked(after.run) || isTerminal(after.run)).toBe(true);
        expect(batches.every((batch) => batch.length > 0)).toBe(true);
        expect(after.run.usage !== null).toBe(isTerminal(after.run));
      }),
      { numRuns: 500 },
    );
  });

  /** Shows A-DELTA-09. */
  test('says every word before the first call, and every argument of the calls it may make', async () => {
    await fc.assert(
      fc.asyncProperty(script, async (moves) => {
        const { events, after } = await play(moves);
        const parts = moves.filter(
          (move): move is ModelPart => !(move instanceof ModelError) && move !== 'silence',
        );
        const firstCall = parts.findIndex((part) => part.type === 'call');
        const heard = firstCall < 0 ? parts : parts.slice(0, firstCall);
        expect(events.flatMap((event) => (event.type === 'message.delta' ? [event.text] : [])).join('')).toBe(
          heard.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join(''),
        );
        if (after.step === null) return;
        for (const [index, made] of callsOf(after.step).entries()) {
          expect(argumentsOf(made)).toBe(
            parts
              .flatMap((part) => (part.type === 'arguments' && part.index === index ? [part.text] : []))
              .join(''),
          );
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** The room that a prompt has in a model's context, and what becomes of a prompt that its server finds too long. */
import { describe, expect, test } from 'vitest';
import { noHostedTools, noRemoteTools } from '../support/hosted.ts';
import { execute, type Execution } from '../../src/runs/execute.ts';
import { ContextRoom } from '../../src/runs/context-room.ts';
import {
  ModelError,
  type Model,
  type ModelPart,
  type ModelRequest,
  type Overflow,
} from '../../src/runs/model.ts';
import { estimateRequest } from '../../src/runs/prompt-size.ts';
import { applyAll, type RunState } from '../../src/runs/run.ts';
import { NO_USAGE, type FunctionTool, type Run } from '../../src/runs/thread.ts';
import { stateAfter } from './histories.ts';
import { assistant, user } from './prompts.ts';

const NOW = 2_000;
const FINISH: ModelPart = { type: 'finish', reason: 'stop', usage: null };
const TOOL: FunctionTool = {
  type: 'function',
  function: {
    name: 'search',
    description: 'Finds things. '.repeat(60),
    parameters: { type: 'object', properties: { q: { type: 'string', description: 'what to find' } } },
    strict: false,
  },
};

/** A server whose tokens are so many times ours, and which tells of a context of `limit` in one of these ways. */
class SmallModel implements Model {
  readonly asked: ModelRequest[] = [];
  readonly #limit: number;
  readonly #ratio: number;
  readonly #tell: (limit: number, asked: number) => Overflow;
  readonly #thinks: boolean;

  constructor(
    limit: number,
    ratio: number,
    tell: (limit: number, asked: number) => Overflow,
    thinks = false,
  ) {
    this.#limit = limit;
    this.#ratio = ratio;
    this.#tell = tell;
    this.#thinks = thinks;
  }

  async *stream(request: ModelRequest): AsyncGenerator<ModelPart, void> {
    this.asked.push(request);
    if (this.#thinks) yield { type: 'thought', field: 'reasoning', text: 'Hm.' };
    const asked = Math.ceil(estimateRequest(request) * this.#ratio);
    if (asked > this.#limit) {
      const overflow = this.#tell(this.#limit, asked);
      throw new ModelError('invalid_prompt', 'The prompt is too long.', { overflow });
    }
    yield { type: 'text', text: 'Hello' };
    yield FINISH;
  }
}

const THREAD = Array.from({ length: 40 }, (_, index) =>
  (index % 2 ? assistant : user)(`${index} ${'All is said and done. '.repeat(10)}`),
);

async function play(
  model: Model,
  settings: Partial<Run> = {},
  contextTokens = 100_000,
  items = [...THREAD, user('And?')],
) {
  const begun = stateAfter(['run.started']);
  const state: RunState = { ...begun, run: { ...begun.run, tools: [], ...settings } };
  let ids = 0;
  const execution: Execution = {
    model,
    runTool: async () => ({}),
    runHosted: noHostedTools,
    runRemote: noRemoteTools,
    secretsIn: () => ({}),
    now: () => NOW,
    newId: (prefix) => `${prefix}_${(ids += 1)}`,
    signal: new AbortController().signal,
    contextTokens: () => contextTokens,
  };
  const events = (await Array.fromAsync(execute(state, { input: [], items }, execution))).flat();
  return { events, run: applyAll(state, events).run };
}

const both = (limitTokens: number, askedTokens: number): Overflow => ({ limitTokens, askedTokens });
const limitOnly = (limitTokens: number): Overflow => ({ limitTokens, askedTokens: null });
const nothing = (): Overflow => ({ limitTokens: null, askedTokens: null });

describe('a prompt that the server finds too long', () => {
  test.each<[string, (limit: number, asked: number) => Overflow, number, number]>([
    ['both figures', both, 1, 2],
    ['both figures, of a tokenizer that makes twice as many', both, 2, 2],
    ['the limit alone', limitOnly, 1, 2],
    ['no figures', nothing, 1, 3],
  ])('is cut by %s, and asked again', async (_, tell, ratio, most) => {
    const model = new SmallModel(1_000, ratio, tell);
    const { run } = await play(model);
    expect(run).toMatchObject({ status: 'completed', last_error: null });
    expect(model.asked.length).toBeLessThanOrEqual(most);
    expect(model.asked.length).toBeGreaterThan(1);
    expect(model.asked.at(-1)?.messages.at(-1)).toEqual({ role: 'user', content: 'And?' });
    // More than the question is left.
    expect(model.asked.at(-1)?.messages.length).toBeGreaterThan(2);
  });

  test('is cut twice at most, and then fails in words of the server', async () => {
    const model = new SmallModel(10, 1, nothing);
    const { run } = await play(model);
    expect(run.last_error).toEqual({ code: 'invalid_prompt', message: 'The prompt is too long.' });
    expect(model.asked).toHaveLength(3);
  });

  test('fails at once where nothing can be left out', async () => {
    const model = new SmallModel(5, 1, both);
    const { run } = await play(model, {}, 100_000, [user('A long question')]);
    expect(run.status).toBe('failed');
    expect(model.asked).toHaveLength(1);
  });

  test('takes the thoughts back that came before', async () => {
    const { events, run } = await play(new SmallModel(1_000, 1, both, true));
    expect(events.slice(0, 3)).toMatchObject([
      { type: 'thought.delta' },
      { type: 'thought.dropped' },
      { type: 'thought.delta' },
    ]);
    expect(run.status).toBe('completed');
  });

  test('is not cut once something was said', async () => {
    let asked = 0;
    const model: Model = {
      async *stream() {
        asked += 1;
        yield { type: 'text', text: 'Once' };
        throw new ModelError('invalid_prompt', 'Too long.', { overflow: nothing() });
      },
    };
    expect((await play(model)).run.status).toBe('failed');
    expect(asked).toBe(1);
  });
});

describe('room', () => {
  test.each<[number, number | null, number, number]>([
    [100_000, null, 0, 95_000 - 4_096],
    [4_000, null, 0, 2_800],
    [4_000, 500, 0, 3_300],
    [4_000, 500, 300, 3_600],
    [4_000, 50_000, 0, 1_800],
  ])(
    'in a context of %i for an answer of at most %s, of which %i are used, is %i',
    (context, answer, spent, room) => {
      expect(new ContextRoom(context, answer).of(spent)).toBe(room);
    },
  );

  test('is not taken by the prompt, which counts its tools and the schema of the answer', async () => {
    const sizes = async (settings: Partial<Run>) => {
      const model = new SmallModel(Infinity, 1, both);
      await play(model, settings, 2_000);
      const [request] = model.asked;
      if (request === undefined) throw new Error('not asked');
      return { whole: estimateRequest(request), messages: request.messages.length };
    };
    const plain = await sizes({});
    const withTool = await sizes({ tools: [TOOL] });
    const schema = { type: 'json_schema', json_schema: { schema: { description: 'word '.repeat(300) } } };
    const withSchema = await sizes({ response_format: schema });
    const short = await sizes({ max_completion_tokens: 100 });
    for (const { whole } of [plain, withTool, withSchema]) expect(whole).toBeLessThanOrEqual(1_500);
    expect(withTool.messages).toBeLessThan(plain.messages);
    expect(withSchema.messages).toBeLessThan(plain.messages);
    expect(short.messages).toBeGreaterThan(plain.messages);
    expect(short.whole).toBeLessThanOrEqual(1_900);
  });

  test('that is too small is no reason not to ask: the server decides', async () => {
    const model = new SmallModel(Infinity, 1, both);
    expect((await play(model, {}, 256, [user('What? '.repeat(1_000))])).run.status).toBe('completed');
    expect(model.asked).toHaveLength(1);
  });
});

test('a run that fails in mid-answer shows what that has cost', async () => {
  const model: Model = {
    async *stream() {
      yield { type: 'text', text: 'Once upon a time' };
      throw new ModelError('server_error', 'It broke.');
    },
  };
  const { usage } = (await play(model)).run;
  expect(usage?.completion_tokens).toBeGreaterThan(3);
  expect(usage?.prompt_tokens).toBeGreaterThan(1_000);
  const silent: Model = {
    // oxlint-disable-next-line require-yield -- it breaks before it says anything
    async *stream() {
      throw new ModelError('server_error', 'It broke.');
    },
  };
  expect((await play(silent)).run.usage).toEqual(NO_USAGE);
});

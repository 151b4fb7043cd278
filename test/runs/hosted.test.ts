/** Runs with file_search and code_interpreter: what the model is offered and told, what clients see, and in which order. */
import { describe, expect, test } from 'vitest';
import {
  answerCall,
  beginCall,
  calledFunction,
  growCall,
  outputOf,
  putOut,
  shownCall,
} from '../../src/runs/calls/kinds.ts';
import { DEFAULT_RANKING, type FileResult } from '../../src/runs/calls/file-search.ts';
import type { RunEvent } from '../../src/runs/event.ts';
import { execute, type Execution } from '../../src/runs/execute.ts';
import type { HostedReply, HostedRequest } from '../../src/runs/hosted.ts';
import type { ModelPart, ModelRequest } from '../../src/runs/model.ts';
import { applyAll, type RunState } from '../../src/runs/run.ts';
import type { DeclaredTool } from '../../src/runs/calls/kinds.ts';
import { noRemoteTools } from '../support/hosted.ts';
import { stateAfter } from './histories.ts';

const FILE_SEARCH: DeclaredTool = {
  type: 'file_search',
  file_search: { ranking_options: { ranker: 'auto', score_threshold: 0.2 } },
};
const CODE: DeclaredTool = { type: 'code_interpreter' };
const RESULTS: readonly FileResult[] = [
  {
    file_id: 'file_a',
    file_name: 'a.md',
    score: 0.9,
    attributes: { year: 2026 },
    content: [{ type: 'text', text: 'Pizza is best.' }],
  },
];

const finish: ModelPart = { type: 'finish', reason: 'stop', usage: null };

interface Played {
  readonly events: readonly RunEvent[];
  readonly asked: readonly ModelRequest[];
  readonly requests: readonly HostedRequest[];
  readonly after: RunState;
}

/** Plays completions of a run with these tools, whose hosted calls are answered by `reply`. */
async function play(
  tools: readonly DeclaredTool[],
  completions: readonly (readonly ModelPart[])[],
  reply: (request: HostedRequest) => readonly HostedReply[],
): Promise<Played> {
  const { run, ...rest } = stateAfter(['run.started']);
  const state: RunState = { ...rest, run: { ...run, tools } };
  const asked: ModelRequest[] = [];
  const requests: HostedRequest[] = [];
  let ids = 0;
  const execution: Execution = {
    model: {
      async *stream(request) {
        asked.push(request);
        yield* completions[asked.length - 1] ?? [];
      },
    },
    runTool: async () => 'a function',
    runRemote: noRemoteTools,
    async *runHosted(request) {
      requests.push(request);
      yield* reply(request);
    },
    secretsIn: () => ({}),
    now: () => 2_000,
    newId: (prefix) => `${prefix}_${(ids += 1)}`,
    signal: new AbortController().signal,
    contextTokens: () => 10_000,
  };
  const history = { input: [{ role: 'user' as const, content: 'What is best?' }], items: [] };
  const events = (await Array.fromAsync(execute(state, history, execution))).flat();
  return { events, asked, requests, after: applyAll(state, events) };
}

const call = (name: string, written: string, index = 0): readonly ModelPart[] => [
  { type: 'call', index, id: `call_${index}`, name },
  { type: 'arguments', index, text: written },
];
const words = (...texts: readonly string[]): readonly ModelPart[] => [
  ...texts.map((text): ModelPart => ({ type: 'text', text })),
  finish,
];
const typesOf = (events: readonly RunEvent[]): readonly string[] => events.map(({ type }) => type);
const messageIn = (events: readonly RunEvent[]): readonly RunEvent[] =>
  events.filter(({ type }) => type === 'message.created' || type === 'message.delta');

describe('file_search', () => {
  const searching = [
    [...call('file_search', '{"queries":["best food"]}'), finish],
    words('It is pizza【1:0†a', '.md】.'),
  ];
  const found = (): readonly HostedReply[] => [
    { type: 'answer', answer: { type: 'found', number: 1, results: RESULTS } },
  ];

  /** Shows A-HOSTED-10. */
  test('is offered as a function, run by the worker, and told to the model with headings that it can cite', async () => {
    const { asked, requests, events } = await play([FILE_SEARCH], searching, found);
    expect(asked[0]?.tools.map((tool) => tool.type === 'function' && tool.function.name)).toStrictEqual([
      'file_search',
    ]);
    expect(requests).toMatchObject([
      { number: 1, call: { type: 'file_search' }, asked: { callId: 'call_0' } },
    ]);
    expect(asked[1]?.messages.slice(-2)).toMatchObject([
      {
        role: 'assistant',
        tool_calls: [{ id: 'call_0', type: 'function', function: { name: 'file_search' } }],
      },
      { role: 'tool', tool_call_id: 'call_0', content: '[1:0] a.md\nPizza is best.' },
    ]);
    expect(typesOf(events)).toStrictEqual([
      'step.created',
      'tool.called',
      'tool.delta',
      'tool.answered',
      'step.completed',
      'step.created',
      'message.created',
      'message.delta',
      'message.delta',
      'message.completed',
      'step.completed',
      'run.completed',
    ]);
  });

  /** Shows A-HOSTED-11. */
  test('is cited in one delta with its annotation', async () => {
    const { events } = await play([FILE_SEARCH], searching, found);
    expect(messageIn(events).slice(1)).toStrictEqual([
      { type: 'message.delta', text: 'It is pizza' },
      {
        type: 'message.delta',
        text: '【1:0†a.md】.',
        annotations: [
          {
            type: 'file_citation',
            text: '【1:0†a.md】',
            start_index: 11,
            end_index: 21,
            file_citation: { file_id: 'file_a' },
          },
        ],
      },
    ]);
  });

  test('counts on: what a later search finds is cited by another number', async () => {
    const script = [
      [...call('file_search', '{"queries":["one"]}'), finish],
      [...call('file_search', '{"queries":["two"]}'), finish],
      words('Done.'),
    ];
    const { requests } = await play([FILE_SEARCH], script, ({ number }) => [
      { type: 'answer', answer: { type: 'found', number, results: RESULTS } },
    ]);
    expect(requests.map(({ number }) => number)).toStrictEqual([1, 2]);
  });

  test('that cannot be done is told to the model, and the step shows no results', async () => {
    const { asked, after } = await play([FILE_SEARCH], searching, () => [
      { type: 'refusal', text: 'The index is away.' },
    ]);
    expect(asked[1]?.messages.at(-1)).toMatchObject({ role: 'tool', content: 'The index is away.' });
    expect(after.run.tools).toStrictEqual([FILE_SEARCH]);
  });

  /** Shows A-HOSTED-09. */
  test('shows its results without their texts, and with them to who asks for that', () => {
    const begun = growCall(
      beginCall('file_search', 'call_1', 'file_search', [FILE_SEARCH]),
      '{"queries":["x"]}',
    );
    const { ranking_options } = FILE_SEARCH.file_search;
    expect(shownCall(begun, { withContents: false })).toStrictEqual({
      id: 'call_1',
      type: 'file_search',
      file_search: { ranking_options, results: [] },
    });
    const answered = answerCall(begun, '', { type: 'found', number: 1, results: RESULTS });
    expect(shownCall(answered, { withContents: true })).toMatchObject({ file_search: { results: RESULTS } });
    expect(JSON.stringify(shownCall(answered, { withContents: false }))).not.toContain('Pizza');
    expect(calledFunction(answered)).toStrictEqual({ name: 'file_search', arguments: '{"queries":["x"]}' });
    expect(beginCall('file_search', 'call_1', 'file_search')).toMatchObject({
      file_search: { ranking_options: DEFAULT_RANKING },
    });
  });
});

describe('code_interpreter', () => {
  const coding = [
    [...call('code_interpreter', '{"code":"plot()"}'), finish],
    words('Here: [data](sandbox:/mnt/data/o', 'ut.csv)'),
  ];
  const ran = (): readonly HostedReply[] => [
    { type: 'output', output: { type: 'logs', logs: 'one ' } },
    { type: 'output', output: { type: 'logs', logs: 'two' } },
    { type: 'output', output: { type: 'image', image: { file_id: 'file_png' } } },
    {
      type: 'answer',
      answer: { type: 'ran', files: [{ path: '/mnt/data/out.csv', file_id: 'file_csv' }] },
    },
  ];

  /** Shows A-HOSTED-13. */
  test('tells what code prints and draws while it runs, and the model in the end', async () => {
    const { asked, events } = await play([CODE], coding, ran);
    expect(typesOf(events).slice(0, 8)).toStrictEqual([
      'step.created',
      'tool.called',
      'tool.delta',
      'tool.output',
      'tool.output',
      'tool.output',
      'tool.answered',
      'step.completed',
    ]);
    expect(asked[1]?.messages.at(-1)).toMatchObject({
      role: 'tool',
      content: 'one two\n[a figure, shown to the user]\n[new file: sandbox:/mnt/data/out.csv]',
    });
  });

  /** Shows A-HOSTED-14. */
  test('puts pictures before the words of the answer, and marks links to its files', async () => {
    const { events } = await play([CODE], coding, ran);
    expect(messageIn(events)).toMatchObject([
      { type: 'message.created', images: ['file_png'] },
      { type: 'message.delta', text: 'Here: [data](' },
      {
        type: 'message.delta',
        text: 'sandbox:/mnt/data/out.csv)',
        annotations: [
          { type: 'file_path', start_index: 13, end_index: 38, file_path: { file_id: 'file_csv' } },
        ],
      },
    ]);
  });

  /** Shows A-HOSTED-12. */
  test('joins what is printed in one output until a picture comes', () => {
    const drawn = ran().reduce(
      (one, reply) => (reply.type === 'output' ? putOut(one, reply.output) : one),
      growCall(beginCall('code_interpreter', 'call_1', 'code_interpreter'), '{"code":"plot()"}'),
    );
    expect(shownCall(drawn, { withContents: false })).toStrictEqual({
      id: 'call_1',
      type: 'code_interpreter',
      code_interpreter: {
        input: 'plot()',
        outputs: [
          { type: 'logs', logs: 'one two' },
          { type: 'image', image: { file_id: 'file_png' } },
        ],
      },
    });
    expect(outputOf(answerCall(drawn, '', { type: 'ran', files: [], note: 'It was cut.' }))).toContain(
      'It was cut.',
    );
  });
});

/** Shows A-HOSTED-07, A-HOSTED-08. */
test.each([FILE_SEARCH, CODE])('$type may be demanded: models are asked for the function', async (tool) => {
  const { run, ...rest } = stateAfter(['run.started']);
  const state: RunState = {
    ...rest,
    run: { ...run, tools: [tool], tool_choice: { type: tool.type } },
  };
  const asked: ModelRequest[] = [];
  const execution: Execution = {
    model: {
      async *stream(request) {
        asked.push(request);
        yield* words('Hi');
      },
    },
    runTool: async () => '',
    runRemote: noRemoteTools,
    async *runHosted() {},
    secretsIn: () => ({}),
    now: () => 2_000,
    newId: (prefix) => `${prefix}_x`,
    signal: new AbortController().signal,
    contextTokens: () => 10_000,
  };
  await execute(state, { input: [{ role: 'user', content: 'Hi' }], items: [] }, execution).next();
  expect(asked[0]?.tool_choice).toStrictEqual({ type: 'function', function: { name: tool.type } });
});

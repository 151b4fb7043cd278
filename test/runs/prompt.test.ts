/** What the model is asked: how a thread becomes chat messages, what is cut to fit, and when a budget is used up. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ChatMessage, ModelRequest } from '../../src/runs/model.ts';
import type { RunState } from '../../src/runs/run.ts';
import type { Run, RunStep, ThreadItem } from '../../src/runs/thread.ts';
import { usage } from './histories.ts';
import {
  EARLIER,
  OWN,
  ROOMY,
  SEARCH,
  ask,
  assistant,
  build,
  laterTurn,
  message,
  messageStep,
  messagesOf,
  photo,
  text,
  told,
  toolStep,
  turn,
  user,
} from './prompts.ts';

describe('a thread as chat messages', () => {
  /** Shows A-MAP-01. */
  test('the instructions come first, as the system says them', () => {
    expect(messagesOf([user('Hi')], { instructions: 'Be brief.' })).toStrictEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi' },
    ]);
  });

  /** Shows A-MAP-01. */
  test('without instructions there is no system message', () => {
    expect(messagesOf([user('Hi')])).toStrictEqual([{ role: 'user', content: 'Hi' }]);
  });

  /** Shows A-MAP-02. */
  test('text parts are joined by newlines, empty ones included', () => {
    expect(messagesOf([user('one', 'two'), user('a', '', 'b'), user('')])).toStrictEqual([
      { role: 'user', content: 'one\ntwo' },
      { role: 'user', content: 'a\n\nb' },
      { role: 'user', content: '' },
    ]);
  });

  /** Shows A-MAP-03. */
  test('a message with pictures is a list of parts, each picture with its url and detail', () => {
    expect(messagesOf([user('What is', photo('low'), 'this?')])).toStrictEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is' },
          { type: 'image_url', image_url: { url: 'https://example.test/photo.jpg', detail: 'low' } },
          { type: 'text', text: 'this?' },
        ],
      },
    ]);
  });

  test('an empty text beside a picture is dropped, since upstreams refuse it', () => {
    expect(messagesOf([user('', photo())])).toStrictEqual([{ role: 'user', content: [photo()] }]);
  });

  test('a user message without any part is left out', () => {
    expect(messagesOf([user(), user('Hi')])).toStrictEqual([{ role: 'user', content: 'Hi' }]);
  });

  /** Shows A-MAP-05. */
  test('an assistant message is its text, whoever wrote it, without its annotations', () => {
    const annotated = message(
      'assistant',
      [
        { type: 'text', text: { value: 'See 【1】.', annotations: [{ type: 'file_citation' }] } },
        text('Two.'),
      ],
      null,
    );
    expect(messagesOf([annotated])).toStrictEqual([{ role: 'assistant', content: 'See 【1】.\nTwo.' }]);
  });

  /** Shows A-MAP-04. */
  test('an empty assistant message is skipped, one with only a picture is named as such', () => {
    const empty = [assistant(''), message('assistant', [], EARLIER)];
    expect(messagesOf([user('Hi'), ...empty, message('assistant', [photo()], null)])).toStrictEqual([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: '[picture]' },
    ]);
  });

  /** Shows A-MSG-16. */
  test('messages that follow one another under the same role stay apart', () => {
    expect(told(messagesOf([user('a'), user('b'), assistant('c'), assistant('d')]))).toStrictEqual([
      'user a',
      'user b',
      'assistant c',
      'assistant d',
    ]);
  });
});

describe('tool steps', () => {
  /** Shows A-MAP-06. */
  test('a finished step is the calls, then one answer each, in the order of the calls', () => {
    const step = toolStep(['sunny', ''], OWN);
    const [first, second] = idsOf(step);
    expect(messagesOf([user('Weather?'), step])).toStrictEqual([
      { role: 'user', content: 'Weather?' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: first, type: 'function', function: { name: 'SEARCH', arguments: '{"q":0}' } },
          { id: second, type: 'function', function: { name: 'SEARCH', arguments: '{"q":1}' } },
        ],
      },
      { role: 'tool', tool_call_id: first, content: 'sunny' },
      { role: 'tool', tool_call_id: second, content: '' },
    ]);
  });

  /** Shows A-MAP-07. */
  test('text and calls of one completion are one message, said once', () => {
    const items = [user('Weather?'), assistant('Let me look.', OWN), toolStep(['sunny'], OWN)];
    const [asked, called, answer, ...rest] = messagesOf(items);
    expect(asked).toStrictEqual({ role: 'user', content: 'Weather?' });
    expect(called).toMatchObject({ role: 'assistant', content: 'Let me look.', tool_calls: [{}] });
    expect(answer).toMatchObject({ role: 'tool', content: 'sunny' });
    expect(rest).toStrictEqual([]);
  });

  test('calls after an empty message, or after another run’s text, are a message of their own', () => {
    expect(told(messagesOf([assistant('', OWN), toolStep(['1'], OWN)]))).toStrictEqual(['calls –', 'tool 1']);
    expect(told(messagesOf([assistant('Bye.', EARLIER), toolStep(['1'], OWN)]))).toStrictEqual([
      'assistant Bye.',
      'calls –',
      'tool 1',
    ]);
  });

  test('two steps one after the other stay two rounds of calls', () => {
    const items = [user('Hi'), assistant('Wait.', OWN), toolStep(['1'], OWN), toolStep(['2', '3'], OWN)];
    expect(told(messagesOf(items))).toStrictEqual([
      'user Hi',
      'calls Wait.',
      'tool 1',
      'calls –',
      'tool 2',
      'tool 3',
    ]);
  });

  /** Shows A-MAP-09. */
  test('earlier runs’ steps stand where they happened', () => {
    const items = [user('a'), toolStep(['1']), assistant('b'), user('c'), toolStep(['2'], OWN)];
    expect(told(messagesOf(items))).toStrictEqual([
      'user a',
      'calls –',
      'tool 1',
      'assistant b',
      'user c',
      'calls –',
      'tool 2',
    ]);
  });

  /** Shows A-MAP-08. */
  test.each<[string, RunStep]>([
    ['one that waits for an answer', toolStep(['1', null])],
    ['one that failed', { ...toolStep(['1']), status: 'failed' }],
    ['one that was cancelled', { ...toolStep([null]), status: 'cancelled' }],
    ['one that expired', { ...toolStep([null]), status: 'expired' }],
    ['one without calls', toolStep([])],
    ['one that wrote a message', messageStep(EARLIER)],
  ])('an unfinished step is left out: %s', (_, step) => {
    expect(told(messagesOf([user('a'), assistant('b'), step, user('c')]))).toStrictEqual([
      'user a',
      'assistant b',
      'user c',
    ]);
  });

  test('text before a step that failed stays, and is not said again by the step that follows', () => {
    const failed: RunStep = { ...toolStep([null], OWN), status: 'failed' };
    const items = [user('a'), assistant('b', OWN), failed, toolStep(['1'], OWN)];
    expect(told(messagesOf(items))).toStrictEqual(['user a', 'assistant b', 'calls –', 'tool 1']);
  });
});

describe('last_messages', () => {
  const last = (count: number): Partial<Run> => ({
    truncation_strategy: { type: 'last_messages', last_messages: count },
  });
  const thread = [user('a'), assistant('b'), user('c'), assistant('d'), user('e')];

  /** Shows A-PARAM-12. */
  test('only the newest messages of the thread are kept, and all when there are fewer', () => {
    expect(told(messagesOf(thread, last(2)))).toStrictEqual(['assistant d', 'user e']);
    expect(messagesOf(thread, last(9))).toHaveLength(5);
    expect(messagesOf([], last(1))).toStrictEqual([]);
  });

  /** Shows A-PARAM-13. */
  test('what this run said and did stays and is not counted', () => {
    const own = [assistant('Wait.', OWN), toolStep(['1'], OWN), toolStep(['2'], OWN)];
    expect(told(messagesOf([...thread, ...own], last(1)))).toStrictEqual([
      'user e',
      'calls Wait.',
      'tool 1',
      'calls –',
      'tool 2',
    ]);
  });

  test('earlier steps are kept with the messages around them, and are not counted either', () => {
    const items = [toolStep(['old']), user('a'), toolStep(['new']), assistant('b'), user('c')];
    expect(told(messagesOf(items, last(3)))).toStrictEqual([
      'user a',
      'calls –',
      'tool new',
      'assistant b',
      'user c',
    ]);
    expect(told(messagesOf(items, last(2)))).toStrictEqual(['assistant b', 'user c']);
  });

  test('the instructions are not a message of the thread', () => {
    expect(told(messagesOf(thread, { ...last(1), instructions: 'Be brief.' }))).toStrictEqual([
      'system Be brief.',
      'user e',
    ]);
  });
});

describe('cutting to what fits', () => {
  /** 104 tokens as a message. */
  const long = (name: string): string => name.padEnd(818, '.');
  const names = (messages: readonly ChatMessage[]): readonly string[] =>
    told(messages).map((line) => line.replaceAll('.', ''));
  const thread = ['a', 'b', 'c', 'd', 'e'].map((name) => user(long(name)));

  test('what fits exactly is not cut', () => {
    expect(names(ask(turn(), thread, 520).messages)).toHaveLength(5);
    expect(names(ask(turn(), thread, 519).messages)).toStrictEqual(['user a', 'user c', 'user d', 'user e']);
  });

  /** Shows A-PARAM-14. */
  test('the beginning and the newest stay as long as they can', () => {
    expect(names(ask(turn(), thread, 320).messages)).toStrictEqual(['user a', 'user d', 'user e']);
    expect(names(ask(turn(), thread, 210).messages)).toStrictEqual(['user a', 'user e']);
    expect(names(ask(turn(), thread, 105).messages)).toStrictEqual(['user e']);
  });

  test('the last question stays even when it is too big, since without it there is nothing to answer', () => {
    expect(names(ask(turn(), thread, 10).messages)).toStrictEqual(['user e']);
    const answered = [...thread, assistant(long('f'))];
    expect(names(ask(turn(), answered, 10).messages)).toStrictEqual(['user e']);
  });

  /** Shows A-PARAM-13. */
  test('this run’s own words and calls are never cut', () => {
    const own = [assistant(long('f'), OWN), toolStep(['1'], OWN)];
    expect(names(ask(turn(), [...thread, ...own], 10).messages)).toStrictEqual([
      'user e',
      'calls f',
      'tool 1',
    ]);
  });

  /** Shows A-PARAM-14. */
  test('the instructions are never cut, and their size counts', () => {
    const state = turn({ instructions: long('s') });
    expect(names(ask(state, thread, 320).messages)).toStrictEqual(['system s', 'user a', 'user e']);
    expect(names(ask(state, thread, 1).messages)).toStrictEqual(['system s', 'user e']);
  });

  test('pictures and calls count', () => {
    const items = [user('a'), user(photo()), toolStep([long('answer')]), user('b')];
    expect(names(ask(turn(), items, 1_000).messages)).toHaveLength(5);
    expect(names(ask(turn(), items, 800).messages)).toStrictEqual([
      'user a',
      'calls –',
      'tool answer',
      'user b',
    ]);
  });

  test('a run’s prompt budget cuts as the context does, whichever is smaller', () => {
    const state = turn({ max_prompt_tokens: 320 });
    expect(names(ask(state, thread).messages)).toStrictEqual(['user a', 'user d', 'user e']);
    expect(names(ask(state, thread, 210).messages)).toStrictEqual(['user a', 'user e']);
  });
});

describe('budgets', () => {
  const spent = (settings: Partial<Run>, tokens: number): RunState => ({
    ...turn(settings),
    spent: usage(tokens),
  });

  /** Shows A-PARAM-16. */
  test('what earlier turns produced is taken off the completion budget', () => {
    expect(ask(turn({ max_completion_tokens: 1_000 }), [user('a')]).max_completion_tokens).toBe(1_000);
    expect(ask(spent({ max_completion_tokens: 1_000 }, 999), [user('a')]).max_completion_tokens).toBe(1);
  });

  test.each([1_000, 1_200])('a completion budget of 1000 is exhausted by %i tokens', (tokens) => {
    expect(build(spent({ max_completion_tokens: 1_000 }, tokens), [user('a')], ROOMY)).toStrictEqual({
      type: 'exhausted',
      reason: 'max_completion_tokens',
    });
  });

  /** Shows A-PARAM-15. */
  test('what earlier turns were asked is taken off the prompt budget', () => {
    // 200 prompt tokens are spent. The minimum that is left of the thread is five: four for the message, one for `a`.
    const state = (budget: number): RunState => spent({ max_prompt_tokens: budget }, 100);
    expect(build(state(205), [user('a')], ROOMY)).toMatchObject({ type: 'ask', estimatedTokens: 5 });
    expect(build(state(204), [user('a')], ROOMY)).toStrictEqual({
      type: 'exhausted',
      reason: 'max_prompt_tokens',
    });
  });

  /** Shows A-PARAM-15. */
  test('the prompt budget is exhausted only when even the shortest prompt is too long', () => {
    const state = turn({ max_prompt_tokens: 10, instructions: 'Be brief.' });
    const long = user('x'.repeat(4_000));
    expect(build(state, [long, long], ROOMY)).toStrictEqual({
      type: 'exhausted',
      reason: 'max_prompt_tokens',
    });
    expect(build(turn({ max_prompt_tokens: 10 }), [long, user('a')], ROOMY)).toMatchObject({
      type: 'ask',
      estimatedTokens: 5,
    });
  });

  test('a context that is too small is the upstream’s to refuse, not the run’s budget', () => {
    expect(ask(turn(), [user('x'.repeat(4_000))], 1).messages).toHaveLength(1);
  });
});

describe('the settings of a run', () => {
  /** Shows A-MAP-11. */
  test('defaults are left to the upstream', () => {
    expect(ask(turn(), [])).toStrictEqual({
      model: 'model',
      backend_id: null,
      messages: [],
      tools: [],
      tools_optional: false,
      tool_choice: 'auto',
      parallel_tool_calls: true,
      response_format: 'auto',
      temperature: null,
      run_id: OWN,
      passed_on: {},
      sealed: null,
      top_p: null,
      reasoning_effort: null,
      max_completion_tokens: null,
    });
  });

  /** Shows A-MAP-22, A-PARAM-17. */
  test('what was given is passed on, but metadata', () => {
    const given = {
      model: 'other',
      tools: [SEARCH],
      tools_optional: false,
      tool_choice: 'required',
      parallel_tool_calls: false,
      response_format: { type: 'json_object' },
      temperature: 0,
      top_p: 0.5,
      reasoning_effort: 'low',
    } as const;
    const state = turn({ ...given, metadata: { secret: 'not for the upstream' } });
    expect(ask({ ...state, origin: { ...state.origin, backend_id: 'local' } }, [])).toStrictEqual({
      ...given,
      run_id: OWN,
      passed_on: {},
      sealed: null,
      backend_id: 'local',
      messages: [],
      max_completion_tokens: null,
    });
  });

  const named = { type: 'function', function: { name: 'SEARCH' } } as const;
  /** Shows A-PARAM-08. */
  test.each<[string, Run['tool_choice'], Run['tool_choice']]>([
    ['a named tool', named, 'auto'],
    ['required', 'required', 'auto'],
    ['auto', 'auto', 'auto'],
    ['none', 'none', 'none'],
  ])('tool_choice %s holds in the first turn; later ones may answer', (_, tool_choice, later) => {
    const tools = [SEARCH];
    expect(ask(turn({ tool_choice, tools }), []).tool_choice).toStrictEqual(tool_choice);
    expect(ask(laterTurn({ tool_choice, tools }), []).tool_choice).toBe(later);
  });
});

describe('any thread, cut to any size', () => {
  const runId = fc.constantFrom(OWN, EARLIER);
  const words = fc.string({ maxLength: 40 });
  const item: fc.Arbitrary<ThreadItem> = fc.oneof(
    {
      weight: 3,
      arbitrary: fc
        .array(fc.oneof(words, fc.constant(photo())), { maxLength: 3 })
        .map((parts) => user(...parts)),
    },
    { weight: 2, arbitrary: fc.tuple(words, runId).map(([value, run]) => assistant(value, run)) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.array(fc.option(words, { freq: 8 }), { maxLength: 3 }), runId)
        .map(([outputs, run]) => toolStep(outputs, run)),
    },
  );
  const question = fc.record({
    items: fc.array(item, { maxLength: 15 }),
    instructions: fc.constantFrom('', 'Be brief.'),
    contextTokens: fc.nat({ max: 400 }),
    count: fc.option(fc.integer({ min: 1, max: 6 })),
    budget: fc.option(fc.nat({ max: 400 })),
  });

  function always(
    check: (request: ModelRequest, whole: ModelRequest, items: readonly ThreadItem[]) => void,
  ): void {
    fc.assert(
      fc.property(question, ({ items, instructions, contextTokens, count, budget }) => {
        const state = turn({
          instructions,
          max_prompt_tokens: budget,
          truncation_strategy: { type: count === null ? 'auto' : 'last_messages', last_messages: count },
        });
        const prompt = build(state, items, contextTokens);
        if (prompt.type === 'ask') check(prompt.request, ask(turn({ instructions }), items), items);
      }),
      { numRuns: 500 },
    );
  }

  /** Shows A-MAP-08. */
  test('no answer is without its call and no call without all its answers', () => {
    always(({ messages }) => expect(tornApart(messages)).toStrictEqual([]));
  });

  test('the instructions come first and only there', () => {
    always(({ messages }, whole) => {
      const systems = messages.flatMap(({ role }, index) => (role === 'system' ? [index] : []));
      expect(systems).toStrictEqual(whole.messages[0]?.role === 'system' ? [0] : []);
    });
  });

  test('what is kept is kept as it is and in order', () => {
    always(({ messages }, whole) => {
      const left = whole.messages.map((chat) => JSON.stringify(chat));
      for (const chat of messages) {
        const found = left.indexOf(JSON.stringify(chat));
        expect(found).toBeGreaterThanOrEqual(0);
        left.splice(0, found + 1);
      }
    });
  });

  test('this run’s finished calls are all there', () => {
    always(({ messages }, _, items) => {
      const own = items.flatMap((one) =>
        one.object === 'thread.run.step' && one.run_id === OWN && one.status === 'completed'
          ? idsOf(one)
          : [],
      );
      expect(messages.flatMap(callIds)).toEqual(expect.arrayContaining(own));
    });
  });

  test('no assistant message is empty, and no text beside a picture', () => {
    always(({ messages }) => expect(messages.filter(hasNothingToSay)).toStrictEqual([]));
  });
});

function callIds(chat: ChatMessage): readonly string[] {
  return chat.role === 'assistant' ? (chat.tool_calls ?? []).map(({ id }) => id) : [];
}

/** Calls whose answers do not directly follow them in order, and answers nobody asked for. */
function tornApart(messages: readonly ChatMessage[]): readonly string[] {
  const torn: string[] = [];
  let owed: readonly string[] = [];
  for (const chat of messages) {
    if (chat.role === 'tool') {
      if (chat.tool_call_id !== owed[0]) torn.push(chat.tool_call_id);
      owed = owed.slice(1);
    } else {
      torn.push(...owed);
      owed = callIds(chat);
    }
  }
  return [...torn, ...owed];
}

function hasNothingToSay(chat: ChatMessage): boolean {
  if (chat.role === 'assistant') return !chat.content && callIds(chat).length === 0;
  return (
    typeof chat.content !== 'string' && chat.content.some((part) => part.type === 'text' && part.text === '')
  );
}

function idsOf(step: RunStep): readonly string[] {
  return step.step_details.type === 'tool_calls' ? step.step_details.tool_calls.map(({ id }) => id) : [];
}

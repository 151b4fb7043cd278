import { describe, expect, test } from 'vitest';
import { Normalizer } from '../../src/model/normalize.ts';
import type { ModelPart } from '../../src/runs/model.ts';
import { parsedCharacters } from '../support/work.ts';

/** The parts of the chunks, and of the end. */
function parts(chunks: readonly Record<string, unknown>[]): ModelPart[] {
  let count = 0;
  const normalizer = new Normalizer((prefix) => `${prefix}_new${(count += 1)}`, 'auto');
  const pushed = chunks.flatMap((chunk) => normalizer.push(chunk));
  return [...pushed, ...normalizer.end()];
}

const delta = (value: object) => ({ choices: [{ index: 0, delta: value }] });
const calls = (...tool_calls: object[]) => delta({ tool_calls });
const text = (...deltas: object[]) =>
  parts(deltas.map(delta)).flatMap((part) => (part.type === 'text' ? [part.text] : []));

/** The calls of a turn as `index id name arguments`, which is what a tool is run with. */
function toolCalls(...chunks: Record<string, unknown>[]): string[] {
  const lines: string[] = [];
  for (const part of parts(chunks)) {
    if (part.type === 'call') lines[part.index] = `${part.index} ${part.id} ${part.name} `;
    if (part.type === 'arguments') lines[part.index] += part.text;
  }
  return lines;
}

describe('text', () => {
  /** Shows A-MAP-19, A-MAP-20. */
  test.each<[string, object[], string[]]>([
    ['strings', [{ content: 'a' }, { content: 'b' }], ['a', 'b']],
    ['null and empty fragments vanish', [{ content: null }, { content: '' }, {}], []],
    [
      'content arrays',
      [
        {
          content: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
        },
      ],
      ['ab'],
    ],
    ['refusals are text', [{ refusal: 'I will not.' }], ['I will not.']],
    [
      'reasoning is no text',
      [{ reasoning: 'x', reasoning_content: 'y', reasoning_details: [{ text: 'z' }] }],
      [],
    ],
    [
      'thoughts in content arrays are no text',
      [{ content: [{ type: 'thinking', text: 'x' }, { text: 'a' }] }],
      ['a'],
    ],
    ['an emoji cut in two is put together', [{ content: 'a\ud83d' }, { content: '\ude00b' }], ['a', '😀b']],
    ['numbers are not text', [{ content: 5 }], []],
  ])('%s', (_, deltas, expected) => {
    expect(text(...deltas)).toEqual(expected);
  });

  test.each<[string, object[], (readonly [string, string])[]]>([
    [
      'DeepSeek’s',
      [{ reasoning_content: 'a' }, { content: null, reasoning_content: 'b' }],
      [
        ['reasoning_content', 'a'],
        ['reasoning_content', 'b'],
      ],
    ],
    ['OpenRouter’s', [{ content: '', reasoning: 'a' }], [['reasoning', 'a']]],
    [
      'said in both fields are said once',
      [{ reasoning: 'a', reasoning_content: 'a' }],
      [['reasoning_content', 'a']],
    ],
    [
      'empty fragments and other things vanish',
      [{ reasoning: '' }, { reasoning_content: null }, { reasoning: { a: 1 } }],
      [],
    ],
    [
      'parts of content arrays',
      [
        { content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'a' }, 'b', { type: 'x' }] }] },
        {
          content: [{ type: 'thinking', thinking: 'c', signature: 's' }, 'no', { type: 'text', text: 'no' }],
        },
        { content: [{ type: 'reasoning', summary: [{ type: 'summary_text', text: 'd' }] }] },
        {
          content: [
            { type: 'thought', text: 'e' },
            { type: 'redacted_thinking', data: 'no' },
          ],
        },
        { reasoning_content: 'f', content: [{ type: 'thinking', thinking: 'f' }] },
      ],
      ['ab', 'c', 'd', 'e', 'f'].map((said) => ['reasoning_content', said] as const),
    ],
    [
      'an emoji cut in two is put together',
      [{ reasoning: 'a\ud83d' }, { reasoning: '\ude00' }],
      [
        ['reasoning', 'a'],
        ['reasoning', '😀'],
      ],
    ],
  ])('thoughts: %s', (_, deltas, expected) => {
    const thoughts = parts(deltas.map(delta)).filter((part) => part.type === 'thought');
    expect(thoughts.map(({ field, text: said }) => [field, said])).toEqual(expected);
  });

  test('thoughts come before the words and calls of the same chunk, also of a whole answer', () => {
    const call = { id: 'a', function: { name: 'f', arguments: '{}' } };
    const message = { content: 'b', reasoning_content: 'a', tool_calls: [call] };
    for (const choice of [{ delta: message }, { message }])
      expect(parts([{ choices: [choice] }]).map(({ type }) => type)).toEqual([
        'thought',
        'text',
        'call',
        'arguments',
        'finish',
      ]);
  });

  test('only the first choice counts', () => {
    const choices = [
      { index: 1, delta: { content: 'no' } },
      { index: 0, delta: { content: 'yes' } },
    ];
    expect(parts([{ choices }])).toMatchObject([{ type: 'text', text: 'yes' }, { type: 'finish' }]);
  });

  test.each([
    [{}],
    [{ choices: [] }],
    [{ choices: null }],
    [{ choices: [null, 3] }],
    [{ choices: [{ delta: null }] }],
  ])('the chunk %j holds nothing', (chunk) => {
    expect(parts([chunk])).toEqual([{ type: 'finish', reason: 'stop', usage: null }]);
  });
});

describe('tool calls', () => {
  const start = { index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '' } };
  const more = (index: number, args: string) => ({ index, function: { arguments: args } });

  test('come once, with their arguments behind them, as they arrive', () => {
    expect(parts([calls(start), calls(more(0, '{"x"')), calls(more(0, ':1}'))])).toEqual([
      { type: 'call', index: 0, id: 'a', name: 'f' },
      { type: 'arguments', index: 0, text: '{"x"' },
      { type: 'arguments', index: 0, text: ':1}' },
      { type: 'finish', reason: 'stop', usage: null },
    ]);
  });

  const two = ['0 a f {"x":1}', '1 b g {}'];
  const whole = (id: unknown, name: string, args: unknown, index?: unknown) => ({
    index,
    id,
    function: { name, arguments: args },
  });
  /** Shows A-ID-06, A-MAP-14, A-MAP-15. */
  test.each<[string, Record<string, unknown>[], string[]]>([
    ['indices that start at 5', [calls(whole('a', 'f', '{"x":1}', 5)), calls(whole('b', 'g', '{}', 7))], two],
    ['no indices', [calls(whole('a', 'f', '{"x":1}')), calls(whole('b', 'g', '{}'))], two],
    ['no indices, in one list', [calls(whole('a', 'f', '{"x":1}'), whole('b', 'g', '{}'))], two],
    ['null indices', [calls(whole('a', 'f', '{"x":1}', null)), calls(whole('b', 'g', '{}', null))], two],
    ['all indices 0', [calls(whole('a', 'f', '{"x":1}', 0), whole('b', 'g', '{}', 0))], two],
    [
      'no indices and fragments',
      [
        calls({ id: 'a', function: { name: 'f' } }),
        calls({ function: { arguments: '{"x"' } }),
        calls(whole('', '', ':1}')),
        calls(whole('b', 'g', '{}')),
      ],
      two,
    ],
    [
      'indices 0 and fragments',
      [calls(start), calls(more(0, '{"x":1}')), calls(whole('b', 'g', '{', 0)), calls(more(0, '}'))],
      two,
    ],
    [
      'repeated ids and names',
      [calls(whole('a', 'f', '{"x"', 0)), calls(whole('a', 'f', ':1}', 0)), calls(whole('b', 'g', '{}', 1))],
      two,
    ],
    [
      'a call said again as a whole',
      [
        calls(whole('a', 'f', '{"x":1}', 0)),
        calls(whole('a', 'f', '{"x":1}', 0)),
        calls(whole('b', 'g', '{}', 1)),
      ],
      two,
    ],
    [
      'interleaved',
      [
        calls(start, { ...start, index: 1, id: 'b', function: { name: 'g' } }),
        calls(more(1, '{')),
        calls(more(0, '{"x":1}')),
        calls(more(1, '}')),
      ],
      two,
    ],
    ['arguments as an object', [calls(whole('a', 'f', { x: 1 }, 0)), calls(whole('b', 'g', {}, 1))], two],
    [
      'missing arguments become an empty object',
      [calls(whole('a', 'f', '{"x":1}', 0)), calls(whole('b', 'g', null, 1))],
      two,
    ],
    [
      'missing ids are made',
      [calls(whole(undefined, 'f', '{}', 0)), calls(whole('', 'g', '{}', 1))],
      ['0 call_new1 f {}', '1 call_new2 g {}'],
    ],
    [
      'neither ids nor indices',
      [calls(whole('', 'f', '{"x":1}')), calls(whole('', 'f', '{"x":2}'))],
      ['0 call_new1 f {"x":1}', '1 call_new2 f {"x":2}'],
    ],
    [
      'no ids and all indices 0',
      [calls(whole('', 'f', '{"x":1}', 0)), calls(whole('', 'f', '{"x":2}', 0))],
      ['0 call_new1 f {"x":1}', '1 call_new2 f {"x":2}'],
    ],
    [
      'an id used twice is replaced',
      [calls(whole('a', 'f', '{}', 0)), calls(whole('a', 'g', '{}', 1))],
      ['0 a f {}', '1 call_new1 g {}'],
    ],
    [
      'a name in pieces',
      [
        calls({ index: 0, id: 'a', function: { name: 'get_' } }),
        calls({ index: 0, function: { name: 'it' } }),
        calls(more(0, '{}')),
      ],
      ['0 a get_it {}'],
    ],
    [
      'a name that grows',
      [calls({ index: 0, id: 'a', function: { name: 'get' } }), calls(whole('a', 'get_it', '{}', 0))],
      ['0 a get_it {}'],
    ],
    [
      'a name that comes late',
      [calls({ index: 0, id: 'a' }), calls(more(0, '{"x"')), calls(whole('', 'f', ':1}', 0))],
      ['0 a f {"x":1}'],
    ],
    [
      'a late name behind a finished call',
      [calls({ index: 0, id: 'a' }), calls(whole('b', 'g', '{}', 1)), calls(whole('a', 'f', '{}', 0))],
      ['0 b g {}', '1 a f {}'],
    ],
    [
      'a legacy function_call',
      [
        delta({ function_call: { name: 'f' } }),
        delta({ function_call: { arguments: '{"x"' } }),
        delta({ function_call: { arguments: ':1}' } }),
      ],
      ['0 call_new1 f {"x":1}'],
    ],
    [
      'another id with every fragment of a call',
      [
        calls(start),
        calls({ index: 0, id: 'a2', function: { arguments: '{"x":' } }),
        calls({ index: 0, id: 'a3', function: { name: '', arguments: '1' } }),
        calls({ index: 0, id: 'a4', function: { name: 'f', arguments: '}' } }),
        calls(whole('b', 'g', '{}', 1)),
      ],
      two,
    ],
    [
      'another id with the same name, behind a call without arguments',
      [calls(start), calls({ ...start, id: 'b' })],
      ['0 a f {}', '1 b f {}'],
    ],
    [
      'one id for all calls of a list, without indices and arguments',
      [calls(whole('a', 'f', '{"x":1}'), whole('a', 'g', ''), whole('a', 'h', null))],
      ['0 a f {"x":1}', '1 call_new1 g {}', '2 call_new2 h {}'],
    ],
    ['empty entries are no calls', [calls({}, { index: 3 })], []],
  ])('%s', (_, chunks, expected) => {
    expect(toolCalls(...chunks)).toEqual(expected);
  });

  test('a call whose arguments never got a name fails the turn', () => {
    expect(() => toolCalls(calls(more(0, '{}')))).toThrow(/name/);
  });

  test('a server that never stops calling is stopped', () => {
    expect(() =>
      toolCalls(calls(...Array.from({ length: 500 }, (_, index) => whole(`c${index}`, 'f', '{}', index)))),
    ).toThrow(/128/);
  });
});

describe('arguments that never end', () => {
  const fragment = (text: string, more = {}) =>
    calls({ index: 0, function: { name: 'f', arguments: text, ...more } });

  test.each([
    ['every fragment closes a brace inside of a string', '{"a', '{}'],
    ['every fragment is closed, and the whole is no JSON', '{a}', '{a}'],
    ['nothing is ever closed', '{', '{"a":1}'],
  ])('are not read again with each fragment: %s', (_, first, further) => {
    const read = (count: number): number =>
      parsedCharacters(() =>
        parts([fragment(first), ...Array.from({ length: count }, () => fragment(further))]),
      );
    expect(read(2_000)).toBeLessThanOrEqual(2 * read(1_000) + 10);
  });

  test('are told from calls that follow one another under one index', () => {
    const said = toolCalls(fragment('{"a":"}'), fragment('{"}'), fragment('{"b":2}'), fragment('{"c":3}'));
    expect(said).toEqual(['0 call_new1 f {"a":"}{"}', '1 call_new2 f {"b":2}', '2 call_new3 f {"c":3}']);
  });
});

describe('the end', () => {
  /** Shows A-MAP-16. */
  test.each([
    ['stop', 'stop'],
    ['STOP', 'stop'],
    ['end_turn', 'stop'],
    ['eos', 'stop'],
    ['eos_token', 'stop'],
    ['stop_sequence', 'stop'],
    ['COMPLETE', 'stop'],
    ['endTurn', 'stop'],
    ['FINISH_REASON_STOP', 'stop'],
    ['FINISH_REASON_MAX_TOKENS', 'length'],
    ['FINISH_REASON_UNSPECIFIED', 'stop'],
    ['finished', 'stop'],
    ['tool_calls', 'stop'],
    ['tool_use', 'stop'],
    ['function_call', 'stop'],
    [null, 'stop'],
    ['', 'stop'],
    ['length', 'length'],
    ['max_tokens', 'length'],
    ['MAX_TOKENS', 'length'],
    ['model_length', 'length'],
    ['content_filter', 'content_filter'],
    ['SAFETY', 'content_filter'],
  ])('finish_reason %s ends with %s', (finish_reason, reason) => {
    expect(parts([{ choices: [{ delta: {}, finish_reason }] }]).at(-1)).toEqual({
      type: 'finish',
      reason,
      usage: null,
    });
  });

  test('a stop after a telling reason does not hide it', () => {
    const chunks = ['length', 'stop'].map((finish_reason) => ({ choices: [{ delta: {}, finish_reason }] }));
    expect(parts(chunks)).toMatchObject([{ reason: 'length' }]);
  });

  const usage = (prompt: number, completion: number, total: number, cached = 0, reasoning = 0) => ({
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: total,
    prompt_token_details: { cached_tokens: cached },
    completion_tokens_details: { reasoning_tokens: reasoning },
  });
  /** Shows A-MAP-19. */
  test.each([
    [
      'the whole of it',
      [
        {
          prompt_tokens: 5,
          completion_tokens: 3,
          total_tokens: 8,
          prompt_tokens_details: { cached_tokens: 2 },
          completion_tokens_details: { reasoning_tokens: 1 },
        },
      ],
      usage(5, 3, 8, 2, 1),
    ],
    [
      'the last one wins',
      [{ prompt_tokens: 5, completion_tokens: 1 }, { prompt_tokens: 5, completion_tokens: 2 }, null],
      usage(5, 2, 7),
    ],
    ['a missing total is computed', [{ prompt_tokens: 5, completion_tokens: 3 }], usage(5, 3, 8)],
    [
      'what is no count is ignored',
      [{ prompt_tokens: 5, completion_tokens: -3, total_tokens: 'x', prompt_tokens_details: null }],
      usage(5, 0, 5),
    ],
    ['nothing usable is nothing', [{ prompt_tokens: '5' }, {}, 7], null],
  ])('usage: %s', (_, said, expected) => {
    expect(parts(said.map((value) => ({ choices: [], usage: value })))).toEqual([
      { type: 'finish', reason: 'stop', usage: expected },
    ]);
  });
});

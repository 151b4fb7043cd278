/** What a turn says beside text and calls, put together from its chunks. */
import { describe, expect, test } from 'vitest';
import { joinFields } from '../../src/model/aside-fields.ts';
import { Normalizer } from '../../src/model/normalize.ts';
import type { Asides } from '../../src/runs/asides.ts';

function asidesOf(deltas: readonly object[]): Asides | undefined {
  const normalizer = new Normalizer((prefix) => `${prefix}_new`, 'auto');
  for (const delta of deltas) normalizer.push({ choices: [{ index: 0, delta }] });
  const last = normalizer.end().at(-1);
  if (last?.type !== 'finish') throw new Error('no finish part');
  return last.asides;
}

const details = (...reasoning_details: unknown[]): object => ({ reasoning_details });
const calls = (...tool_calls: object[]): object => ({ tool_calls });
const call = (more: object, inside: object = {}, index = 0): object => ({
  index,
  id: `c${index}`,
  type: 'function',
  function: { name: 'f', arguments: '{}', ...inside },
  ...more,
});

describe('of a message', () => {
  test.each<[string, object[], object]>([
    [
      'a list whole is kept as it is, order and nulls included',
      [
        details(
          { type: 'b', id: null, index: 1, data: 'y' },
          'text',
          { type: 'a', data: 'x' },
          { type: 'a', data: 'z' },
        ),
      ],
      {
        reasoning_details: [
          { type: 'b', id: null, index: 1, data: 'y' },
          'text',
          { type: 'a', data: 'x' },
          { type: 'a', data: 'z' },
        ],
      },
    ],
    [
      'fragments of one index and type are one entry, and its texts grow',
      [
        details({ type: 'reasoning.summary', index: 0, summary: 'a', id: 'i', format: null }),
        details(
          { type: 'reasoning.summary', index: 0, summary: 'b' },
          { type: 'reasoning.text', index: 0, text: 'c' },
        ),
        details({ type: 'reasoning.text', index: 0, text: null, signature: 's' }),
        details({ type: 'reasoning.text', index: 1, text: 'd', signature: null }),
        details({ type: 'reasoning.summary', index: 0, summary: 'e', id: null, format: 'v1' }),
      ],
      {
        reasoning_details: [
          { type: 'reasoning.summary', index: 0, summary: 'abe', id: 'i', format: 'v1' },
          { type: 'reasoning.text', index: 0, text: 'c', signature: 's' },
          { type: 'reasoning.text', index: 1, text: 'd', signature: null },
        ],
      },
    ],
    [
      'entries without an index stay apart',
      [details({ type: 'reasoning.text', text: 'a' }), details({ type: 'reasoning.text', text: 'b' })],
      {
        reasoning_details: [
          { type: 'reasoning.text', text: 'a' },
          { type: 'reasoning.text', text: 'b' },
        ],
      },
    ],
    [
      'entries with differing ids stay apart, though their index is one',
      [
        details({ type: 'reasoning.encrypted', index: 0, id: 'a', data: 'x' }),
        details({ type: 'reasoning.encrypted', index: 0, id: 'b', data: 'y' }),
        details({ type: 'reasoning.encrypted', index: 0, id: 'a', data: 'z' }),
      ],
      {
        reasoning_details: [
          { type: 'reasoning.encrypted', index: 0, id: 'a', data: 'xz' },
          { type: 'reasoning.encrypted', index: 0, id: 'b', data: 'y' },
        ],
      },
    ],
    [
      'a block of thinking without an index goes on until it is signed',
      [
        { thinking_blocks: [{ type: 'thinking', thinking: 'a', signature: '' }] },
        { thinking_blocks: [{ type: 'thinking', thinking: 'b' }] },
        { thinking_blocks: [{ type: 'thinking', thinking: '', signature: 's' }] },
        { thinking_blocks: [{ type: 'thinking', thinking: 'c', signature: 't' }] },
        { thinking_blocks: [{ type: 'redacted_thinking', data: 'd' }] },
        { thinking_blocks: [{ type: 'redacted_thinking', data: 'e' }] },
        { thinking_blocks: [{ type: 'thinking', thinking: 'f' }] },
      ],
      {
        thinking_blocks: [
          { type: 'thinking', thinking: 'ab', signature: 's' },
          { type: 'thinking', thinking: 'c', signature: 't' },
          { type: 'redacted_thinking', data: 'd' },
          { type: 'redacted_thinking', data: 'e' },
          { type: 'thinking', thinking: 'f' },
        ],
      },
    ],
    [
      'objects are joined, and a signature that comes again is the same signature',
      [
        { extra_content: { google: { thought: true, thought_signature: 's' } } },
        { extra_content: { google: { thought_signature: 's' } } },
      ],
      { extra_content: { google: { thought: true, thought_signature: 's' } } },
    ],
    [
      'other names for thoughts and their signatures are kept as well',
      [
        { reasoning_text: 'a', reasoning_opaque: 'x' },
        { reasoning_text: 'b', thought_signature: 'y' },
      ],
      { reasoning_text: 'ab', reasoning_opaque: 'x', thought_signature: 'y' },
    ],
  ])('%s', (_, deltas, message) => {
    expect(asidesOf([...deltas, { content: 'Hi' }])).toStrictEqual({ message, calls: {} });
  });

  test.each<[string, object]>([
    [
      'plain fields',
      { role: 'assistant', content: 'a', refusal: null, reasoning: 'b', reasoning_content: 'c' },
    ],
    [
      'what says nothing',
      { reasoning_details: [], extra_content: null, provider_specific_fields: { a: null } },
    ],
    ['what no server takes back', { annotations: [{ url: 'x' }], audio: { id: 'x' }, token_ids: [1] }],
    ['plain calls', calls(call({}))],
    ['arguments under another name', calls(call({ provider_specific_fields: null }, { parameters: '{}' }))],
  ])('are none among %s', (_, delta) => {
    expect(asidesOf([delta])).toBeUndefined();
  });
});

describe('of calls', () => {
  test('are any fields that the protocol does not define, wherever they come', () => {
    const first = call({ extra_content: { google: { thought_signature: 's' } } }, { arguments: '' });
    const second = call({}, { arguments: '{"a":', 'x-sig': 't' }, 1);
    const rest = { index: 1, function: { arguments: '1}', more: [1] }, zzz: 0 };
    expect(
      asidesOf([calls(first), calls(second), calls(rest), calls({ index: 0, late: 'l' })]),
    ).toStrictEqual({
      message: {},
      calls: {
        0: { extra_content: { google: { thought_signature: 's' } }, late: 'l' },
        1: { zzz: 0, function: { 'x-sig': 't', more: [1] } },
      },
    });
  });

  test('keep to their calls where a server gives no indices, or says a call twice', () => {
    const one = { id: 'a', function: { name: 'f', arguments: '{}' }, sig: 1 };
    const two = { id: 'b', function: { name: 'f', arguments: '{}' }, sig: 2 };
    expect(asidesOf([calls(one, two)])?.calls).toStrictEqual({ 0: { sig: 1 }, 1: { sig: 2 } });
    const again = { ...one, index: 0, sig: 1, extra: true };
    expect(asidesOf([calls({ ...one, index: 0 }), calls(again)])?.calls).toStrictEqual({
      0: { sig: 1, extra: true },
    });
  });

  test('that came to nothing are none', () => {
    expect(asidesOf([calls({ index: 0, sig: 1 }), { content: 'Hi' }])).toBeUndefined();
  });
});

test('that are larger than a signature can be are forgotten all together', () => {
  const half = { signature: 'x'.repeat(600_000) };
  expect(asidesOf([{ extra_content: half }])).toBeDefined();
  expect(asidesOf([{ extra_content: half }, calls(call({ more: half }))])).toBeUndefined();
});

describe('of a server without measure', () => {
  test('a piece is joined to what came before it, which is not copied', () => {
    const entries = [{ index: 0, text: 'a' }];
    const before = { reasoning_details: entries };
    const joined = joinFields(before, {
      reasoning_details: [{ index: 0, text: 'b' }, { index: 1 }],
      more: 1,
    });
    expect(joined).toBe(before);
    expect(before.reasoning_details).toBe(entries);
    expect(joined).toEqual({ reasoning_details: [{ index: 0, text: 'ab' }, { index: 1 }], more: 1 });
  });

  test('the names of fields have a limit as well as their values', () => {
    const deltas = Array.from({ length: 2_000 }, (_none, at) => ({
      [`thought_${at}_${'x'.repeat(1_000)}`]: 1,
    }));
    expect(asidesOf(deltas)).toBeUndefined();
  });

  test('a field named like an inherited one changes no object', () => {
    const poison = (): unknown =>
      JSON.parse('{"a":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}');
    asidesOf([{ extra_content: poison() }, { extra_content: poison() }]);
    expect({}).not.toHaveProperty('polluted');
  });
});

/** What holds for the fitted form of any history, tried on random ones. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FIT, fitMessages, type FitOptions } from '../../src/model/fit.ts';
import type { ChatCall, ChatMessage, ChatPart } from '../../src/runs/model.ts';
import { complaint } from '../support/strict.ts';

const blank = fc.constantFrom('', ' ', '\n\t', '\u00a0');
// Texts are marked, so that each can be found again wherever it went.
let marks = 0;
const letters = fc.constantFrom('', ' a', '天', '\ud83d\ude00', '\ud83d', '\n');
const said = letters.map((rest) => `<${(marks += 1)}>${rest}`);
const text = fc.oneof({ weight: 3, arbitrary: said }, { weight: 1, arbitrary: blank });
const id = fc.oneof(
  fc.constantFrom('call_0', 'call_1', 'abcdefghi', 'ABCDEFGH1', 'functions.f:0', ''),
  fc.string({ maxLength: 12 }),
);
const args = fc.oneof(
  fc.constantFrom('{}', '', ' ', '{"timezone": "Eur', '[1]', 'null', '"x"', '{"a":{"b":[]}}'),
  fc.string({ maxLength: 8 }),
);
const call: fc.Arbitrary<ChatCall> = fc.record({
  id,
  type: fc.constant('function' as const),
  function: fc.record({ name: fc.constantFrom('f', 'g.h'), arguments: args }),
});
const part: fc.Arbitrary<ChatPart> = fc.oneof(
  text.map((value): ChatPart => ({ type: 'text', text: value })),
  fc.constant<ChatPart>({
    type: 'image_url',
    image_url: { url: 'https://example.test/p.jpg', detail: 'auto' },
  }),
);
const named = <Message extends ChatMessage>(message: fc.Arbitrary<Message>): fc.Arbitrary<Message> =>
  fc
    .tuple(message, fc.option(fc.constantFrom('Ann', 'Bob'), { freq: 2 }))
    .map(([one, name]) => (name === null ? one : { ...one, name }));
const message: fc.Arbitrary<ChatMessage> = fc.oneof(
  text.map((content): ChatMessage => ({ role: 'system', content })),
  {
    weight: 3,
    arbitrary: named(
      fc
        .oneof(text, fc.array(part, { maxLength: 3 }))
        .map((content): ChatMessage => ({ role: 'user', content })),
    ),
  },
  {
    weight: 3,
    arbitrary: named(fc.option(text).map((content): ChatMessage => ({ role: 'assistant', content }))),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      role: fc.constant('assistant' as const),
      content: fc.option(text),
      tool_calls: fc.array(call, { maxLength: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ role: fc.constant('tool' as const), tool_call_id: id, content: text }),
  },
);
const histories = fc.array(message, { maxLength: 14 });
const options: fc.Arbitrary<FitOptions> = fc.record({
  callIds: fc.constantFrom('nine', 'own'),
  system: fc.constantFrom('anywhere', 'first', 'none'),
  systemName: fc.constantFrom('system', 'developer'),
  thoughts: fc.constantFrom('keep', 'fill', 'drop'),
  signatures: fc.constantFrom('keep', 'fill'),
  pictures: fc.constantFrom('keep', 'last'),
  prefill: fc.constant(false),
});

const RUNS = { numRuns: 2_000 };

/** The texts of messages of these roles, in order. */
const textsOf = (
  messages: readonly { readonly role: string; readonly content: unknown }[],
  roles: readonly string[],
): string =>
  messages
    .filter(({ role }) => roles.includes(role))
    .map(({ content }) => JSON.stringify(content))
    .join(' ');
const marksIn = (text: string): readonly string[] => text.match(/<\d+>/g) ?? [];

const hasContent = ({ content }: ChatMessage): boolean => /<\d+>|image_url/.test(JSON.stringify(content));

describe('the fitted form of any history', () => {
  test('is taken by a server that is strict in everything, whatever the options', () => {
    fc.assert(
      fc.property(histories, options, (history, chosen) => {
        const strictness = { systemFirst: chosen.system !== 'anywhere', nine: chosen.callIds === 'nine' };
        expect(complaint(fitMessages(history, chosen), strictness)).toBeNull();
      }),
      RUNS,
    );
  });

  test('has all that was said, in order', () => {
    fc.assert(
      fc.property(histories, options, (history, chosen) => {
        const fitted = fitMessages(history, chosen);
        const talk = chosen.system === 'none' ? ['user'] : ['system', 'developer'];
        for (const roles of [['user'], ['assistant'], ['system', 'developer']]) {
          const before = marksIn(textsOf(history, roles));
          const after = marksIn(textsOf(fitted, roles[0] === 'system' ? talk : roles));
          expect(after.filter((mark) => before.includes(mark))).toEqual(before);
        }
        for (const speaker of ['Ann', 'Bob']) {
          const spoke = history.some((one) => 'name' in one && one.name === speaker && hasContent(one));
          expect(!spoke || JSON.stringify(fitted).includes(speaker)).toBe(true);
        }
      }),
      RUNS,
    );
  });

  test('is its own fitted form, and the same list', () => {
    fc.assert(
      fc.property(histories, options, (history, chosen) => {
        const fitted = fitMessages(history, chosen);
        expect(fitMessages(fitted, chosen)).toBe(fitted);
      }),
      RUNS,
    );
  });

  test('is the same each time, and leaves the history as it was', () => {
    fc.assert(
      fc.property(histories, options, (history, chosen) => {
        const before = structuredClone(history);
        expect(fitMessages(history, chosen)).toEqual(fitMessages(structuredClone(history), chosen));
        expect(history).toEqual(before);
      }),
    );
  });

  test('stays as it was when an answer and a question follow, so that servers find what they have read', () => {
    fc.assert(
      fc.property(histories, (history) => {
        const asked: readonly ChatMessage[] = [...history, { role: 'user', content: 'And?' }];
        const before = fitMessages(asked, FIT);
        const later = fitMessages(
          [...asked, { role: 'assistant', content: 'So.' }, { role: 'user', content: 'Oh.' }],
          FIT,
        );
        expect(later.slice(0, before.length)).toEqual(before);
      }),
      RUNS,
    );
  });
});

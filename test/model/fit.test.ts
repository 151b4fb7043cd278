/** Messages as strict servers take them: what becomes of each kind that they refuse. */
import { describe, expect, test } from 'vitest';
import { FIT, fitMessages, type FitOptions } from '../../src/model/fit.ts';
import type { ChatCall, ChatMessage, ChatPart } from '../../src/runs/model.ts';

const system = (content: string) => ({ role: 'system', content }) as const;
const user = (content: string | readonly ChatPart[]) => ({ role: 'user', content }) as const;
const assistant = (content: string) => ({ role: 'assistant', content }) as const;
const call = (id: string, args = '{}') =>
  ({ id, type: 'function', function: { name: 'f', arguments: args } }) as const;
const calls = (...all: readonly ChatCall[]) =>
  ({ role: 'assistant', content: null, tool_calls: all }) as const;
const answer = (tool_call_id: string, content = 'sunny') =>
  ({ role: 'tool', tool_call_id, content }) as const;
const words = (text: string) => ({ type: 'text', text }) as const;
const picture = {
  type: 'image_url',
  image_url: { url: 'https://example.test/p.jpg', detail: 'auto' },
} as const;

const fit = (messages: readonly ChatMessage[], options: Partial<FitOptions> = {}) =>
  fitMessages(messages, { ...FIT, ...options });
const [A, B, C] = ['aaaaaaaaa', 'bbbbbbbbb', 'ccccccccc'] as const;
const NO_ANSWER = '{"error":"This call was not answered."}';

/** What is sent, and what becomes of it; where nothing is said, it stays the same list. */
type Case = readonly [string, readonly ChatMessage[], (readonly ChatMessage[])?];

const ORDER: readonly Case[] = [
  [
    'a conversation as servers want it stays',
    [system('S'), user('1'), calls(call(A)), answer(A), assistant('2'), user('3')],
  ],
  ['users in a row are joined', [user('1'), user('2'), user('3')], [user('1\n\n2\n\n3')]],
  [
    'their pictures as well',
    [user('1'), user([picture]), user([words('2')])],
    [user([words('1'), picture, words('2')])],
  ],
  ['parts of text only become a text', [user('1'), user([words('2')])], [user('1\n\n2')]],
  [
    'assistants in a row are joined',
    [user('1'), assistant('2'), assistant('3'), user('4')],
    [user('1'), assistant('2\n\n3'), user('4')],
  ],
  [
    'text and calls of a completion are one message',
    [user('1'), assistant('2'), calls(call(A)), answer(A)],
    [user('1'), { ...calls(call(A)), content: '2' }, answer(A)],
  ],
  [
    'calls in a row are one message',
    [user('1'), calls(call(A)), calls(call(B)), answer(B, 'b'), answer(A, 'a')],
    [user('1'), calls(call(A), call(B)), answer(A, 'a'), answer(B, 'b')],
  ],
  [
    'calls after the answers to others stay apart',
    [user('1'), calls(call(A)), answer(A), calls(call(B)), answer(B)],
  ],
  [
    'system messages at the beginning are joined',
    [system('1'), system('2'), user('3')],
    [system('1\n\n2'), user('3')],
  ],
  ['a system message in the middle stays', [user('1'), assistant('2'), system('3'), user('4')]],
  [
    'but not between calls and answers',
    [user('1'), calls(call(A)), system('2'), answer(A)],
    [user('1'), calls(call(A)), answer(A), system('2')],
  ],
  [
    'a greeting has a user before it',
    [system('S'), assistant('Hi.'), user('1')],
    [system('S'), user('…'), assistant('Hi.'), user('1')],
  ],
  ['instructions alone have a user behind them', [system('S')], [system('S'), user('…')]],
  [
    'an answer at the end has a user behind it',
    [user('1'), assistant('2')],
    [user('1'), assistant('2'), user('…')],
  ],
  ['but not one that is marked as begun', [user('1'), { ...assistant('2'), prefix: true } as ChatMessage]],
  [
    'a user behind a tool has an assistant between',
    [user('1'), calls(call(A)), answer(A), user('2')],
    [user('1'), calls(call(A)), answer(A), assistant('…'), user('2')],
  ],
  [
    'pictures that a tool shows as well',
    [user('1'), calls(call(A)), answer(A), user([picture])],
    [user('1'), calls(call(A)), answer(A), assistant('…'), user([picture])],
  ],
];

const CALLS: readonly Case[] = [
  [
    'a call without an answer is answered',
    [user('1'), calls(call(A), call(B)), answer(B), user('2')],
    [user('1'), calls(call(A), call(B)), answer(A, NO_ANSWER), answer(B), assistant('…'), user('2')],
  ],
  [
    'words behind calls come after their answers',
    [user('1'), calls(call(A)), assistant('2'), answer(A), user('3')],
    [user('1'), calls(call(A)), answer(A), assistant('2'), user('3')],
  ],
  ['an answer without a call is left out', [user('1'), answer(A), user('2')], [user('1\n\n2')]],
  [
    'an answer before its call comes behind it',
    [user('1'), answer(A), calls(call(A)), user('2')],
    [user('1'), calls(call(A)), answer(A), assistant('…'), user('2')],
  ],
  [
    'a late answer comes behind its call',
    [user('1'), calls(call(A)), user('2'), answer(A), assistant('3'), user('4')],
    [user('1'), calls(call(A)), answer(A), assistant('…'), user('2'), assistant('3'), user('4')],
  ],
  [
    'of two answers the first counts',
    [user('1'), calls(call(A)), answer(A, 'x'), answer(A, 'y')],
    [user('1'), calls(call(A)), answer(A, 'x')],
  ],
  [
    'no list of calls is no calls',
    [user('1'), { ...assistant('2'), tool_calls: [] }, user('3')],
    [user('1'), assistant('2'), user('3')],
  ],
  [
    'arguments that are no JSON are kept as a text in JSON',
    [user('1'), calls(call(A, '{"zone": "Eur')), answer(A)],
    [user('1'), calls(call(A, '{"arguments":"{\\"zone\\": \\"Eur"}')), answer(A)],
  ],
  [
    'and those that are no object',
    [user('1'), calls(call(A, '[1]')), answer(A)],
    [user('1'), calls(call(A, '{"arguments":"[1]"}')), answer(A)],
  ],
  [
    'blank arguments are none',
    [user('1'), calls(call(A, ' ')), answer(A)],
    [user('1'), calls(call(A)), answer(A)],
  ],
];

const LETTERS: readonly Case[] = [
  [
    'half of a surrogate pair is replaced',
    [user('a\ud83d'), calls(call(A, '{"a":"\ude00"}')), answer(A, '\ud83d\ude00 \ud83d')],
    [user('a\ufffd'), calls(call(A, '{"a":"\ufffd"}')), answer(A, '\ud83d\ude00 \ufffd')],
  ],
  ['in parts, too', [user([words('\ud83d'), picture])], [user([words('\ufffd'), picture])]],
  [
    'names of functions that no tool can have are made such',
    [user('1'), calls({ ...call(A), function: { name: 'default_api:f g', arguments: '{}' } }), answer(A)],
    [user('1'), calls({ ...call(A), function: { name: 'default_api_f_g', arguments: '{}' } }), answer(A)],
  ],
];

const BLANKS: readonly Case[] = [
  ['a silent user says …', [user('1'), assistant('2'), user(' ')], [user('1'), assistant('2'), user('…')]],
  ['unless somebody else speaks', [user('1'), user('')], [user('1')]],
  ['blank parts are left out', [user([words(' '), picture, words('\n')])], [user([picture])]],
  ['and no parts are silence', [user([words('')])], [user('…')]],
  ['a blank assistant is left out', [user('1'), assistant(' '), user('2')], [user('1\n\n2')]],
  [
    'blank text beside calls is none',
    [user('1'), { ...calls(call(A)), content: '' }, answer(A)],
    [user('1'), calls(call(A)), answer(A)],
  ],
  [
    'a blank output says so',
    [user('1'), calls(call(A)), answer(A, ' ')],
    [user('1'), calls(call(A)), answer(A, '(no output)')],
  ],
  ['blank instructions are left out', [system(''), user('1')], [user('1')]],
];

describe('order', () => {
  test.each(whole(ORDER))('%s', expectFitted);
});
describe('calls', () => {
  test.each(whole(CALLS))('%s', expectFitted);
});
describe('letters', () => {
  test.each(whole(LETTERS))('%s', expectFitted);
});

describe('blanks', () => {
  test.each(whole(BLANKS))('%s', expectFitted);
});

function whole(cases: readonly Case[]) {
  return cases.map(([name, messages, becomes = messages]) => [name, messages, becomes] as const);
}

function expectFitted(
  _name: string,
  messages: readonly ChatMessage[],
  becomes: readonly ChatMessage[],
): void {
  const fitted = fit(messages);
  expect(fitted).toEqual(becomes);
  // What needs no change is not copied.
  expect(fitted === messages).toBe(becomes === messages);
}

describe('ids', () => {
  const idsIn = (messages: readonly object[]): readonly string[] =>
    [...JSON.stringify(messages).matchAll(/"(?:id|tool_call_id)":"([^"]*)"/g)].map(([, id = '']) => id);

  test('become nine letters and digits, in call and answer, always the same', () => {
    const asked = [user('1'), calls(call('call_1'), call(A)), answer('call_1'), answer(A)];
    const [first = '', ...rest] = idsIn(fit(asked));
    expect(first).toMatch(/^[A-Za-z0-9]{9}$/);
    expect(rest).toEqual([A, first, A]);
    expect(idsIn(fit([...asked, assistant('2'), user('3')]))).toEqual([first, ...rest]);
  });

  test('that come again in a later turn are others, and each answer finds its call', () => {
    const turn = (said: string) => [
      calls(call('0'), call('1')),
      answer('1', `${said} 1`),
      answer('0', `${said} 0`),
    ];
    const fitted = fit([user('1'), ...turn('first'), ...turn('second')]);
    const [a, b, , , c, d] = idsIn(fitted);
    expect(new Set([a, b, c, d]).size).toBe(4);
    expect(idsIn(fitted)).toEqual([a, b, a, b, c, d, c, d]);
    expect(fitted.flatMap(({ role, content }) => (role === 'tool' ? [content] : []))).toEqual([
      'first 0',
      'first 1',
      'second 0',
      'second 1',
    ]);
  });

  test('that are missing are made up; the order tells whose answer it is', () => {
    const fitted = fit([
      user('1'),
      calls(call(''), call('')),
      answer('', 'a'),
      answer('', 'b'),
      calls(call(A), call(B)),
      answer('', 'c'),
      answer(B, 'd'),
    ]);
    const [a, b] = idsIn(fitted);
    expect(a).not.toBe(b);
    expect(idsIn(fitted)).toEqual([a, b, a, b, A, B, A, B]);
    expect(fitted.flatMap(({ role, content }) => (role === 'tool' ? [content] : []))).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
  });

  test('stay as they are for servers that want their own back', () => {
    const messages = [
      user('1'),
      calls(call('functions.f:0'), call('functions.f:1')),
      answer('functions.f:0'),
      answer('functions.f:1'),
    ];
    expect(fit(messages, { callIds: 'own' })).toBe(messages);
  });
});

describe('names', () => {
  const said = (name: string, content: string): ChatMessage => ({ role: 'user', content, name });

  test('stay where one speaks, and begin the texts where several do', () => {
    const one = [said('Ann', '1'), assistant('2'), said('Bob', '3')];
    expect(fit(one)).toBe(one);
    expect(fit([said('Ann', '1'), said('Ann', '2')])).toEqual([said('Ann', '1\n\n2')]);
    expect(fit([said('Ann', '1'), user('2'), said('Bob', '3')])).toEqual([user('Ann: 1\n\n2\n\nBob: 3')]);
    const shown: ChatMessage = { role: 'user', content: [picture], name: 'Bob' };
    expect(fit([said('Ann', '1'), shown])).toEqual([user([words('Ann: 1'), words('Bob:'), picture])]);
  });
});

test('fields that are not known stay, of messages and of calls', () => {
  const signed = { ...call('call_1', 'no JSON'), extra_content: { google: { thought_signature: 's' } } };
  const messages = [
    { ...user('1'), cache: true } as ChatMessage,
    {
      ...assistant('2'),
      reasoning_details: [{ text: 'a' }],
      reasoning_content: 'x',
      phase: 1,
    } as ChatMessage,
    { ...calls(signed), reasoning_details: [{ text: 'b' }], reasoning_content: 'y' } as ChatMessage,
    { ...answer('call_1', ''), name: 'f' } as ChatMessage,
  ];
  expect(fit(messages)).toMatchObject([
    { role: 'user', cache: true },
    {
      role: 'assistant',
      content: '2',
      phase: 1,
      reasoning_content: 'x\n\ny',
      reasoning_details: [{ text: 'a' }, { text: 'b' }],
      tool_calls: [{ extra_content: { google: { thought_signature: 's' } } }],
    },
    { role: 'tool', content: '(no output)', name: 'f' },
  ]);
});

describe('options', () => {
  const scattered = [system('1'), user('2'), assistant('3'), system('4'), user('5')];

  test('all system text is moved to the beginning, or into the first user turn', () => {
    expect(fit(scattered, { system: 'first' })).toEqual([
      system('1\n\n4'),
      user('2'),
      assistant('3'),
      user('5'),
    ]);
    expect(fit(scattered, { system: 'none' })).toEqual([user('1\n\n4\n\n2'), assistant('3'), user('5')]);
    expect(fit([system('1'), assistant('2'), user('3')], { system: 'none' })).toEqual([
      user('1'),
      assistant('2'),
      user('3'),
    ]);
    expect(fit([system('1'), user('')], { system: 'none' })).toEqual([user('1')]);
    expect(fit([user('1')], { system: 'none' })).toEqual([user('1')]);
  });

  test('the system has its newer name', () => {
    expect(fit(scattered, { systemName: 'developer' }).map(({ role }) => role)).toEqual([
      'developer',
      'user',
      'assistant',
      'developer',
      'user',
    ]);
  });

  test('thoughts are filled in beside calls, or left out', () => {
    const thinking = [
      user('1'),
      { ...calls(call(A)), reasoning: 'hm' },
      answer(A),
      calls(call(B)),
      answer(B),
      { ...calls(call(C)), reasoning_content: 'so', reasoning_details: [] } as ChatMessage,
      answer(C),
      { ...assistant('2'), reasoning: 'ah' },
      user('3'),
    ];
    const thoughts = (how: FitOptions['thoughts']) =>
      fit(thinking, { thoughts: how }).filter(({ role }) => role === 'assistant');
    expect(thoughts('fill')).toMatchObject([
      { reasoning_content: 'hm', reasoning: 'hm' },
      { reasoning_content: '' },
      { reasoning_content: 'so' },
      { reasoning: 'ah' },
    ]);
    expect(thoughts('drop')).toEqual([calls(call(A)), calls(call(B)), calls(call(C)), assistant('2')]);
    expect(fit(thinking)).toBe(thinking);
  });

  test('first calls without a signature get the stand-in', () => {
    const stand = { google: { thought_signature: 'skip_thought_signature_validator' } };
    const signed = { ...call(B), extra_content: { vertex: { thought_signature: 's' } } };
    const fitted = fit([user('1'), calls(call(A), call(C)), answer(A), answer(C), calls(signed), answer(B)], {
      signatures: 'fill',
    });
    expect(fitted[1]).toEqual(calls({ ...call(A), extra_content: stand }, call(C)));
    expect(fitted[4]).toEqual(calls(signed));
  });

  test('pictures of earlier turns are named only', () => {
    const shown = [user([words('1'), picture]), assistant('2'), user('3')];
    expect(fit(shown, { pictures: 'last' })).toEqual([user('1\n[picture]'), assistant('2'), user('3')]);
    const showing = [user('1'), calls(call(A)), answer(A), assistant('…'), user([picture])];
    expect(fit(showing, { pictures: 'last' })).toBe(showing);
  });

  test('an answer may be begun', () => {
    const begun = [user('1'), assistant('{')];
    expect(fit(begun, { prefill: true })).toBe(begun);
  });
});

test('the work grows with the history, not with its square', () => {
  // Each is the worst for somebody who searches, joins or counts.
  const many = (count: number): readonly ChatMessage[] => [
    ...Array.from({ length: count }, () => user([picture])),
    ...Array.from({ length: count }, () => ({ ...calls(call('0')), reasoning_details: [1] })),
    ...Array.from({ length: count }, () => answer('0')),
    ...Array.from({ length: count }, () => answer('')),
  ];
  let looks = 0;
  const counted = (message: ChatMessage): ChatMessage =>
    new Proxy(message, {
      get: (from, name, self): unknown => {
        looks += 1;
        return Reflect.get(from, name, self);
      },
    });
  const work = (count: number): number => {
    looks = 0;
    fit(many(count).map(counted));
    return looks;
  };
  expect(work(1_000)).toBeLessThanOrEqual(2.1 * work(500));
});

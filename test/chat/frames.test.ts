/** The chat dialect frame by frame, for what no live test shows: who reads which key of a call, and failures that are spoken. */
import { describe, expect, test } from 'vitest';
import type { Audible } from '../../src/turns/turn-events.ts';
import { chatFrames, chatObject, type ChatReply } from '../../src/api/chat/frames.ts';
import { turnError } from '../../src/turns/turn-error.ts';
import { cited } from '../runs/histories.ts';
import { NO_USAGE, type RequiredCall } from '../../src/runs/thread.ts';

const REPLY: ChatReply = {
  id: 'chatcmpl-1',
  created: 1,
  model: '<Ada>',
  includeUsage: false,
  apology: null,
  showsAsides: true,
  hidesErrors: false,
};
const SPEAKING: ChatReply = { ...REPLY, apology: '抱歉。', showsAsides: false, hidesErrors: true };
/** A voice engine speaks the apology, and may read the error behind it. */
const VOICE: ChatReply = { ...SPEAKING, hidesErrors: false };
const FAILED: Audible = { type: 'failed', error: { code: 'rate_limit_exceeded', message: 'Too much.' } };
const END: Audible = { type: 'end', reason: 'stop', usage: NO_USAGE };
const CALL: RequiredCall = {
  id: 'call_1',
  type: 'function',
  function: { name: 'take_a_photo', arguments: '{}' },
};
const CALLS: Audible = { type: 'calls', calls: [CALL, { ...CALL, id: 'call_2' }], usage: NO_USAGE };
const word = (text: string): Audible => ({ type: 'text', text });

/** What a run says, as it comes: each event by itself. */
async function* of(...says: readonly Audible[]): AsyncGenerator<readonly Audible[], void> {
  for (const event of says) yield [event];
}

async function* atOnce(...says: readonly Audible[]): AsyncGenerator<readonly Audible[], void> {
  yield says;
}

const bytesOf = async (says: AsyncIterable<readonly Audible[]>, reply: ChatReply): Promise<string> =>
  (await Array.fromAsync(chatFrames(says, reply))).join('');

/** The data of the frames; `[DONE]` must be the last, and only there. */
async function framesOf(reply: ChatReply, ...says: readonly Audible[]): Promise<readonly unknown[]> {
  const bytes = await bytesOf(of(...says), reply);
  expect(await bytesOf(atOnce(...says), reply)).toBe(bytes);
  expect(bytes).toMatch(/^(?:data: [^\n]+\n\n)+$/);
  const data = [...bytes.matchAll(/^data: (.+)$/gm)].map(([, text = '']) => text);
  expect(data.indexOf('[DONE]')).toBe(data.length - 1);
  return data.slice(0, -1).map((text): unknown => JSON.parse(text));
}

const chunk = (delta: object, finish_reason: string | null = null): object => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1,
  model: '<Ada>',
  system_fingerprint: 'fp_longrun',
  choices: [{ index: 0, delta, logprobs: null, finish_reason }],
});

describe('frames', () => {
  test('begin with the role, once, and end with the reason', async () => {
    expect(await framesOf(REPLY, word('a'), word('b\n\nc'), END)).toEqual([
      chunk({ role: 'assistant', content: 'a' }),
      chunk({ content: 'b\n\nc' }),
      chunk({}, 'stop'),
    ]);
  });

  test('of calls are one, with the reason in it and the arguments under both names', async () => {
    const told = { name: 'take_a_photo', arguments: '{}', parameters: '{}' };
    const tool_calls = [
      { index: 0, id: 'call_1', type: 'function', function: told },
      { index: 1, id: 'call_2', type: 'function', function: told },
    ];
    expect(await framesOf(REPLY, CALLS)).toEqual([
      chunk({ role: 'assistant', content: null, tool_calls }, 'tool_calls'),
    ]);
  });

  test('of a failure are an error, or words where errors would be read aloud', async () => {
    const error = {
      message: 'Too much.',
      type: 'rate_limit_error',
      param: null,
      code: 'rate_limit_exceeded',
    };
    expect(await framesOf(REPLY, word('a'), FAILED)).toEqual([
      chunk({ role: 'assistant', content: 'a' }),
      { error },
    ]);
    expect(await framesOf(SPEAKING, word('a'), FAILED)).toEqual([
      chunk({ role: 'assistant', content: 'a' }),
      chunk({ content: '抱歉。' }),
      chunk({}, 'stop'),
    ]);
  });
});

test('an answer without a word is words where silence would mean that nobody has heard', async () => {
  expect(await framesOf(SPEAKING, END)).toEqual([
    chunk({ role: 'assistant', content: '抱歉。' }),
    chunk({}, 'stop'),
  ]);
  expect(await chatObject(of(END), SPEAKING)).toMatchObject({
    choices: [{ message: { content: '抱歉。' }, finish_reason: 'stop' }],
  });
  expect(await framesOf(REPLY, END)).toEqual([chunk({ role: 'assistant' }, 'stop')]);
});

describe('annotations', () => {
  const page = { url: 'https://example.test', title: 'A page' };
  const mark = { type: 'url_citation', start_index: 4, end_index: 7, url_citation: page } as const;
  const shown = { type: 'url_citation', url_citation: { start_index: 4, end_index: 7, ...page } };
  const marked: Audible = { type: 'text', text: '【1】', annotations: [mark, cited('file_a', 4)] };

  test('come with their words, as OpenAI writes them', async () => {
    expect(await framesOf(REPLY, word('See '), marked, END)).toEqual([
      chunk({ role: 'assistant', content: 'See ' }),
      chunk({ content: '【1】', annotations: [shown, cited('file_a', 4)] }),
      chunk({}, 'stop'),
    ]);
  });

  test('are those of the whole message of an object, but for what was taken back', async () => {
    const error = { code: 'server_error', message: 'Lost.' } as const;
    const dropped: Audible = { type: 'dropped', text: '【1】', error };
    const object = await chatObject(of(word('See '), marked, dropped, marked, END), REPLY);
    expect(object).toMatchObject({
      choices: [{ message: { content: 'See 【1】', annotations: [shown, cited('file_a', 4)] } }],
    });
  });
});

describe('thoughts', () => {
  const thought = (text: string): Audible => ({ type: 'thought', field: 'reasoning_content', text });

  test('are deltas of their own, before the words', async () => {
    expect(await framesOf(REPLY, thought('Hm. '), thought('So.'), word('a'), END)).toEqual([
      chunk({ role: 'assistant', reasoning_content: 'Hm. ' }),
      chunk({ reasoning_content: 'So.' }),
      chunk({ content: 'a' }),
      chunk({}, 'stop'),
    ]);
  });

  test('are in the message of an object, but for those that led to nothing', async () => {
    const dropped: Audible = { type: 'thought.dropped', text: 'No. ' };
    const says = [thought('Hm. '), thought('No. '), dropped, thought('So.'), word('a'), END];
    expect(await chatObject(of(...says), REPLY)).toMatchObject({
      choices: [{ message: { content: 'a', reasoning_content: 'Hm. So.' } }],
    });
    const bare = await chatObject(of(word('a'), END), REPLY);
    expect(JSON.stringify(bare)).not.toContain('reasoning_content');
  });
});

describe('asides', () => {
  const asides = {
    message: { reasoning_details: ['x'] },
    calls: new Map([['call_2', { extra_content: 'sig' }]]),
  };
  const calls: Audible = { ...CALLS, asides };
  const end: Audible = { ...END, asides };

  test('are shown whole, before the end, and with their calls', async () => {
    const [first, last] = await framesOf(REPLY, word('a'), calls).then((frames) => frames.slice(1));
    expect(first).toEqual(chunk({ reasoning_details: ['x'] }));
    expect(last).toMatchObject(
      chunk({ tool_calls: [{ id: 'call_1' }, { id: 'call_2', extra_content: 'sig' }] }, 'tool_calls'),
    );
    expect(await framesOf(REPLY, word('a'), end)).toEqual([
      chunk({ role: 'assistant', content: 'a' }),
      chunk({ reasoning_details: ['x'] }),
      chunk({}, 'stop'),
    ]);
    expect(await chatObject(of(word('a'), calls), REPLY)).toMatchObject({
      choices: [
        {
          message: {
            content: 'a',
            reasoning_details: ['x'],
            tool_calls: [{ id: 'call_1' }, { id: 'call_2', extra_content: 'sig' }],
          },
        },
      ],
    });
    expect(await chatObject(of(word('a'), end), REPLY)).toMatchObject({
      choices: [{ message: { content: 'a', reasoning_details: ['x'] } }],
    });
  });

  test('are nothing for who speaks', async () => {
    for (const last of [calls, end]) {
      const shown = [
        await framesOf(SPEAKING, word('a'), last),
        await chatObject(of(word('a'), last), SPEAKING),
      ];
      expect(JSON.stringify(shown)).not.toMatch(/reasoning_details|extra_content/);
    }
  });

  test('are beside thoughts, which have the name of their server as well', async () => {
    const thought: Audible = { type: 'thought', field: 'reasoning', text: 'Hm.' };
    const both = { reasoning_content: 'Hm.', reasoning: 'Hm.' };
    expect((await framesOf(REPLY, thought, END))[0]).toEqual(chunk({ role: 'assistant', ...both }));
    expect(await chatObject(of(thought, END), REPLY)).toMatchObject({ choices: [{ message: both }] });
  });
});

describe('for voice engines', () => {
  const sorry = chunk({ role: 'assistant', content: '抱歉。' });
  const error = { message: 'Too much.', type: 'rate_limit_error', param: null, code: 'rate_limit_exceeded' };
  const filler: Audible = { type: 'text', text: 'One moment …', isFiller: true };

  test('a failure is spoken, and the error follows for whoever reads it', async () => {
    expect(await framesOf(VOICE, FAILED)).toEqual([sorry, chunk({}, 'stop'), { error }]);
    expect(await framesOf(VOICE, filler, FAILED)).toEqual([
      chunk({ role: 'assistant', content: 'One moment …' }),
      chunk({ content: '抱歉。' }),
      chunk({}, 'stop'),
      { error },
    ]);
  });

  test('an answer that has no word, behind a filler or not, is spoken for as well', async () => {
    expect(await framesOf(VOICE, END)).toEqual([sorry, chunk({}, 'stop')]);
    for (const silence of [filler, word(' \n')])
      expect(await framesOf(VOICE, silence, END)).toContainEqual(chunk({ content: '抱歉。' }));
    expect(await framesOf(VOICE, filler, word('Hi.'), END)).not.toContainEqual(chunk({ content: '抱歉。' }));
    expect(await chatObject(of(word(' '), END), VOICE)).toMatchObject({
      choices: [{ message: { content: '抱歉。' } }],
    });
  });
});

describe('what the model server calls its error', () => {
  const said = { param: 'messages[2].content', code: 'context_length_exceeded' };

  test.each([
    ['invalid_prompt', 400, 'invalid_request_error', 'invalid_prompt'],
    ['rate_limit_exceeded', 429, 'rate_limit_error', 'rate_limit_exceeded'],
    ['server_error', 502, 'server_error', 'upstream_error'],
  ] as const)('is told for %s, early and in the stream', async (code, status, type, ours) => {
    const failed: Audible = { type: 'failed', error: { code, message: 'm' }, said };
    expect(turnError(failed)).toMatchObject({ status, type, ...said });
    expect(await framesOf(REPLY, word('a'), failed)).toContainEqual({
      error: { message: 'm', type, ...said },
    });
    expect(turnError({ ...failed, said: {} })).toMatchObject({ param: null, code: ours });
  });
});

describe('an object', () => {
  test('of calls keeps what was said before them', async () => {
    const message = {
      role: 'assistant',
      refusal: null,
      content: 'Look!',
      tool_calls: [CALL, { ...CALL, id: 'call_2' }],
    };
    expect(await chatObject(of(word('Look'), word('!'), CALLS), REPLY)).toMatchObject({
      object: 'chat.completion',
      choices: [{ index: 0, message, finish_reason: 'tool_calls' }],
    });
  });

  test('of nothing is empty, not missing', async () => {
    expect(await chatObject(of(END), REPLY)).toMatchObject({ choices: [{ message: { content: '' } }] });
  });

  test('of a failure is none, or the apology', async () => {
    await expect(chatObject(of(word('a'), FAILED), REPLY)).rejects.toMatchObject({ status: 429 });
    const broken: Audible = { type: 'failed', error: { code: 'server_error', message: 'Broken.' } };
    const sorry = { choices: [{ message: { content: '抱歉。' }, finish_reason: 'stop' }] };
    for (const reply of [SPEAKING, VOICE]) expect(await chatObject(of(broken), reply)).toMatchObject(sorry);
    // An engine learns from the error how long the model server is busy; glasses read no errors.
    await expect(chatObject(of(FAILED), VOICE)).rejects.toMatchObject({ status: 429 });
    expect(await chatObject(of(FAILED), SPEAKING)).toMatchObject(sorry);
  });
});

test('errors are never repeated by an SDK on its own: the upstream was asked often enough', () => {
  for (const code of ['server_error', 'rate_limit_exceeded', 'invalid_prompt'] as const)
    expect(turnError({ error: { code, message: 'm' } }).headers).toMatchObject({ 'x-should-retry': 'false' });
});

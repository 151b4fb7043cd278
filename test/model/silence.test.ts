/** Answers in which nothing is said: asked again where the server gave no reason for it, and then told with its words. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  ask,
  begin,
  chunk,
  DONE,
  failureOf,
  HELLO,
  HELLO_PARTS,
  modelAt,
  partsOf,
  startUpstream,
  STOP,
  type TestUpstream,
} from './upstream.ts';

let upstream: TestUpstream;
afterEach(() => upstream.stop());

/** A server that answers so, and from the given try on properly. */
async function answering(body: string, goodFrom = Infinity, type = 'text/event-stream'): Promise<void> {
  upstream = await startUpstream((response, count) => {
    response.writeHead(200, { 'content-type': count < goodFrom ? type : 'text/event-stream' });
    response.end(count < goodFrom ? body : HELLO);
  });
}

const EMPTY = chunk({ role: 'assistant', content: '' });
const ended = (reason: string): string => EMPTY + chunk({}, { finish_reason: reason }) + DONE;
const completion = (choice: object): string => JSON.stringify({ choices: [{ index: 0, ...choice }] });

const silences: [string, string, string?][] = [
  ['[DONE] alone', DONE],
  ['an empty delta', EMPTY + DONE],
  ['usage alone', `data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":0}}\n\n${DONE}`],
  ['calls that never came', ended('tool_calls')],
  ['an answer that merely stops', ended('stop')],
  ['one that ends in the word of another protocol', ended('END_TURN')],
  ['blanks alone', chunk({ content: '\n' }) + chunk({ content: ' \n' }) + STOP + DONE],
  ['an empty refusal and no calls', chunk({ refusal: '', tool_calls: [] }) + STOP + DONE],
  ['a reason that is none', ended('')],
  [
    'a whole completion without a word',
    completion({ message: { content: null }, finish_reason: null }),
    'application/json',
  ],
  ['a whole completion without a message', completion({}), 'application/json'],
];

describe.each(silences)('%s', (_, body = '', type = 'text/event-stream') => {
  test('is asked again, and nobody notices', async () => {
    await answering(body, 3, type);
    expect(await partsOf(modelAt(upstream.url, { retries: 2 }))).toEqual(HELLO_PARTS);
    expect(upstream.asked).toHaveLength(3);
  });

  test('fails in the end, and says what was sent', async () => {
    await answering(body, Infinity, type);
    const { parts, code, message } = await failureOf(modelAt(upstream.url, { retries: 1 }));
    expect([parts, code]).toEqual([[], 'server_error']);
    expect(message).toMatch(/^The upstream 'test' ended its answer without a word or a call/);
    expect(message).toContain(`It sent: ${body.replaceAll(/\s+/g, ' ').slice(0, 60).trim()}`);
    expect(message.length).toBeLessThan(300);
    expect(upstream.asked).toHaveLength(2);
  });
});

describe('thoughts alone', () => {
  const body = chunk({ reasoning_content: 'hm' }) + DONE;
  const thought = { type: 'thought', field: 'reasoning_content', text: 'hm' };
  const again = { type: 'again' };

  test('are passed on and then forgotten, because the server is asked again', async () => {
    await answering(body, 3);
    const parts = await partsOf(modelAt(upstream.url, { retries: 2 }));
    expect(parts).toEqual([thought, again, thought, again, ...HELLO_PARTS]);
    expect(upstream.asked).toHaveLength(3);
  });

  test('fail in the end, and it is said what was sent', async () => {
    await answering(body);
    const { parts, code, message } = await failureOf(modelAt(upstream.url, { retries: 1 }));
    expect([parts, code]).toEqual([[thought, again, thought], 'server_error']);
    expect(message).toMatch(/^The upstream 'test' ended its answer without a word or a call/);
    expect(message).toContain(`It sent: ${body.replaceAll(/\s+/g, ' ').slice(0, 60).trim()}`);
  });

  test('before a stop are no answer either', async () => {
    await answering(chunk({ reasoning_content: 'hm' }) + STOP + DONE);
    const { parts, message } = await failureOf(modelAt(upstream.url, { retries: 1 }));
    expect(parts).toEqual([thought, again, thought]);
    expect(message).toContain("without a word or a call, with the reason 'stop'. It sent:");
  });
});

test('the reason that a server gave is told', async () => {
  await answering(ended('tool_calls'));
  expect((await failureOf(modelAt(upstream.url))).message).toContain("with the reason 'tool_calls'");
});

test('however the bytes are cut, the same is told', async () => {
  const body = `error: {"code":500,"message":"GPU on fire"}\n\n${DONE}`;
  const said = [];
  for (const size of [body.length, 7, 1]) {
    upstream = await startUpstream(async (response) => {
      begin(response);
      response.socket?.setNoDelay(true);
      for (let from = 0; from < body.length; from += size)
        await new Promise<void>((resolve) => {
          response.write(body.slice(from, from + size), () => setImmediate(resolve));
        });
      response.end();
    });
    said.push((await failureOf(modelAt(upstream.url))).message);
    if (size > 1) await upstream.stop();
  }
  expect(new Set(said).size).toBe(1);
  expect(said[0]).toContain('GPU on fire');
});

describe('a server that says why it has nothing to say', () => {
  test.each(['length', 'content_filter'] as const)('(%s) is believed', async (reason) => {
    await answering(ended(reason));
    const parts = await partsOf(modelAt(upstream.url, { retries: 2 }));
    expect(parts).toEqual([{ type: 'finish', reason, usage: null }]);
    expect(upstream.asked).toHaveLength(1);
  });

  test('after its tools, is believed when it says so at every try', async () => {
    const call = { id: 'a', type: 'function' as const, function: { name: 'f', arguments: '{}' } };
    const request = ask({
      messages: [
        { role: 'user', content: 'Light on.' },
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'a', content: 'done' },
      ],
    });
    await answering(ended('stop'));
    const parts = await partsOf(modelAt(upstream.url, { retries: 2 }), request);
    expect(parts).toEqual([{ type: 'finish', reason: 'stop', usage: null }]);
    expect(upstream.asked).toHaveLength(3);
  });

  test('is believed with the blanks that it sent', async () => {
    await answering(chunk({ content: ' \n' }) + chunk({}, { finish_reason: 'length' }) + DONE);
    expect(await partsOf(modelAt(upstream.url, { retries: 2 }))).toMatchObject([
      { type: 'text', text: ' \n' },
      { type: 'finish', reason: 'length' },
    ]);
  });

  test.each([
    ['stop', { stop: ['END'] }, 1] as const,
    ['stop', { stop: [] }, 2] as const,
    ['stop_sequence', {}, 1] as const,
  ])('(%s, where the request says %j) is asked %i times', async (reason, passed_on, tries) => {
    await answering(ended(reason), 2);
    const parts = await partsOf(modelAt(upstream.url, { retries: 1 }), ask({ passed_on }));
    expect(parts).toEqual(tries === 1 ? [{ type: 'finish', reason: 'stop', usage: null }] : HELLO_PARTS);
    expect(upstream.asked).toHaveLength(tries);
  });
});

describe('calls beyond all measure', () => {
  const called = (fields: object): string => chunk({ tool_calls: [{ index: 0, ...fields }] });
  const piece = called({ function: { arguments: 'x'.repeat(100_000) } });
  const call = called({ id: 'a', function: { name: 'look', arguments: '{' } });

  test.each<[string, string, RegExp]>([
    [
      'arguments in many pieces',
      call + piece.repeat(11),
      /a tool call with at most 1048576 characters of arguments/,
    ],
    [
      'a name in many pieces',
      called({ function: { name: 'a'.repeat(200) } }) + called({ function: { name: 'b'.repeat(200) } }),
      /with a name of at most 256/,
    ],
    ['a name of one piece', called({ function: { name: 'x'.repeat(300) } }), /with a name of at most 256/],
    [
      'arguments that are an object of too many levels',
      `data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}}]}}]}\n\n`,
      /not a chunk of a chat completion/,
    ],
    [
      'an error of too many levels',
      `data: ${'{"error":'.repeat(20_000)}1${'}'.repeat(20_000)}\n\n`,
      /not a chunk of a chat completion/,
    ],
  ])('%s are not taken', async (_, body, message) => {
    await answering(body + STOP + DONE);
    const failed = await failureOf(modelAt(upstream.url, { retries: 2 }));
    expect(failed.code).toBe('server_error');
    expect(failed.message).toMatch(message);
    expect(failed.message.length).toBeLessThan(700);
  });

  test('an id as long as a book is replaced', async () => {
    await answering(
      called({ id: 'i'.repeat(1_000), function: { name: 'look', arguments: '{}' } }) + STOP + DONE,
    );
    expect((await partsOf(modelAt(upstream.url)))[0]).toMatchObject({ type: 'call', id: 'call_1' });
  });

  test('a server that repeats the name with every piece is not read again and again', async () => {
    const parse = vi.spyOn(JSON, 'parse');
    const long = `{"a":[${'1,'.repeat(20_000)}}`;
    const repeated = called({ function: { name: 'look', arguments: '{}' } });
    await answering(
      called({ function: { name: 'look', arguments: long } }) + repeated.repeat(500) + STOP + DONE,
    );
    await partsOf(modelAt(upstream.url));
    const looks = parse.mock.calls.filter(([text]) => text.startsWith(long));
    parse.mockRestore();
    expect(looks.length).toBeLessThan(10);
  });
});

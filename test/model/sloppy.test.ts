/** Answers as the servers in the world give them, and what becomes of them. */
import { assert, asyncProperty, integer, uniqueArray } from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import type { ModelPart } from '../../src/runs/model.ts';
import {
  ask,
  begin,
  chunk,
  DONE,
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

async function answers(body: string, type = 'text/event-stream'): Promise<ModelPart[]> {
  upstream = await startUpstream(
    (response) => void response.writeHead(200, { 'content-type': type }).end(body),
  );
  return await partsOf(modelAt(upstream.url));
}

const hello = chunk({ content: 'Hello' });
const usage = {
  prompt_tokens: 3,
  completion_tokens: 2,
  total_tokens: 5,
  prompt_tokens_details: { cached_tokens: 1 },
  completion_tokens_details: { reasoning_tokens: 1 },
};
const withUsage: ModelPart[] = [
  { type: 'text', text: 'Hello' },
  {
    type: 'finish',
    reason: 'stop',
    usage: {
      prompt_tokens: 3,
      completion_tokens: 2,
      total_tokens: 5,
      prompt_token_details: { cached_tokens: 1 },
      completion_tokens_details: { reasoning_tokens: 1 },
    },
  },
];
const USAGE = `data: ${JSON.stringify({ choices: [], usage })}\n\n`;

describe('event streams', () => {
  test.each<[string, string, readonly ModelPart[]]>([
    ['usage in a chunk of its own, behind the finish reason', hello + STOP + USAGE + DONE, withUsage],
    [
      'usage in every chunk',
      chunk({ content: 'Hello' }, {}, { usage: { ...usage, completion_tokens: 1 } }) +
        chunk({}, { finish_reason: 'stop' }, { usage }),
      withUsage,
    ],
    ['usage in the choice', hello + chunk({}, { finish_reason: 'stop', usage }) + DONE, withUsage],
    ['no [DONE]', hello + STOP, HELLO_PARTS],
    ['no finish reason', hello + DONE, HELLO_PARTS],
    ['no blank line at the end', (hello + STOP + DONE).trimEnd(), HELLO_PARTS],
    ['no blank line behind the last chunk', (hello + STOP).trimEnd(), HELLO_PARTS],
    ['no space behind data:', HELLO.replaceAll('data: ', 'data:'), HELLO_PARTS],
    ['CRLF lines', HELLO.replaceAll('\n', '\r\n'), HELLO_PARTS],
    ['a byte order mark', `\ufeff${HELLO}`, HELLO_PARTS],
    ['blank lines first', `\n\n${HELLO}`, HELLO_PARTS],
    [
      'comments, pings, ids and empty events',
      `: OPENROUTER PROCESSING\n\nevent: ping\ndata: {"type":"ping"}\n\nid: 7\nretry: 10\ndata:\n\n${HELLO}`,
      HELLO_PARTS,
    ],
    ['named events', HELLO.replaceAll('data: {', 'event: chunk\ndata: {'), HELLO_PARTS],
    ['a null error in every chunk', chunk({ content: 'Hello' }, {}, { error: null }) + STOP, HELLO_PARTS],
    [
      'message in place of delta',
      `data: {"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}\n\n`,
      HELLO_PARTS,
    ],
    ['lines that begin like one of an error', `err\nerror\nerrors: 1\n\n${HELLO}`, HELLO_PARTS],
    ['data behind [DONE]', `${HELLO}data: {"error":"no"}\n\ndata: rubbish\n\n`, HELLO_PARTS],
    [
      'blanks before the first word, and usage that says how it went',
      chunk({ content: '\n' }) +
        chunk({ content: ' ' }) +
        chunk({ content: 'Hello' }) +
        chunk({}, { finish_reason: 'stop' }, { base_resp: { status_code: 0, status_msg: '' } }) +
        DONE,
      [{ type: 'text', text: '\n Hello' }, ...HELLO_PARTS.slice(1)],
    ],
    [
      'an empty error in every chunk',
      `data: {"error":"","choices":[]}\n\n${chunk({ content: 'Hello' }, {}, { error: {} })}${STOP}`,
      HELLO_PARTS,
    ],
    [
      'signs of life that are no errors',
      `event: status\ndata: {"type":"status","status":"running","message":"busy"}\n\ndata: {"code":0,"msg":"ok"}\n\n${HELLO}`,
      HELLO_PARTS,
    ],
  ])('%s', async (_, body, expected) => {
    expect(await answers(body)).toEqual(expected);
  });

  test.each(['text/plain', 'application/json', 'application/octet-stream'])('of type %s', async (type) => {
    expect(await answers(HELLO, type)).toEqual(HELLO_PARTS);
  });
});

describe('a whole completion in place of a stream', () => {
  const completion = (choice: object) =>
    JSON.stringify({ object: 'chat.completion', choices: [choice], usage });

  test.each(['application/json', 'text/event-stream'])('of type %s', async (type) => {
    const body = completion({
      index: 0,
      message: { role: 'assistant', content: 'Hello' },
      finish_reason: 'stop',
    });
    expect(await answers(body, type)).toEqual(withUsage);
  });

  test('with tool calls', async () => {
    const call = { type: 'function', function: { name: 'look', arguments: '{"a":1}' } };
    const message = {
      content: null,
      tool_calls: [
        { ...call, id: 'a' },
        { ...call, id: 'b' },
      ],
    };
    expect(
      await answers(completion({ message, finish_reason: 'tool_calls' }), 'application/json'),
    ).toMatchObject([
      { type: 'call', index: 0, id: 'a', name: 'look' },
      { type: 'arguments', index: 0, text: '{"a":1}' },
      { type: 'call', index: 1, id: 'b', name: 'look' },
      { type: 'arguments', index: 1, text: '{"a":1}' },
      { type: 'finish', reason: 'stop' },
    ]);
  });
});

const begun =
  ': hi\r\n\r\n' +
  chunk({ role: 'assistant', content: '' }) +
  chunk({ content: '你好 😀' }) +
  chunk({ content: ' there' }).replaceAll('\n', '\r\n') +
  chunk({ tool_calls: [{ index: 3, id: 'a', function: { name: 'look', arguments: '' } }] }) +
  chunk({ tool_calls: [{ index: 3, function: { arguments: '{"q":"é' } }] }) +
  chunk({ tool_calls: [{ index: 3, function: { arguments: '"}' } }] });

describe('white space', () => {
  const call = { tool_calls: [{ index: 0, id: 'a', function: { name: 'look', arguments: '{}' } }] };

  test('before a call is no word', async () => {
    const parts = await answers(
      chunk({ content: '\n' }) + chunk({ content: '\n' }) + chunk(call) + STOP + DONE,
    );
    expect(parts.map(({ type }) => type)).toEqual(['call', 'arguments', 'finish']);
  });

  test('before the first word belongs to it', async () => {
    const parts = await answers(
      chunk({ content: '\n' }) + chunk({ content: ' a' }) + chunk(call) + STOP + DONE,
    );
    expect(parts[0]).toEqual({ type: 'text', text: '\n a' });
  });
});

describe('how the bytes are cut into packets changes nothing', () => {
  test.each([
    ['in a good answer', begun + STOP + USAGE + DONE, '6 parts'],
    ['before an error', `${begun}data: {"error":{"message":"no"}}\n\n`, 'no'],
    ['before an error line', `${begun}error: {"message":"no"}\r\n\n${DONE}`, 'no'],
    ['before nonsense', `${begun}data: nonsense\n\n`, 'nonsense'],
    ['before a sudden end', `${begun}data: {"cho`, 'broke off in the middle of its answer.'],
  ])('%s', async (_, text, end) => {
    const stream = Buffer.from(text);
    let cuts: readonly number[] = [];
    upstream = await startUpstream(async (response) => {
      begin(response);
      response.socket?.setNoDelay(true);
      let from = 0;
      for (const to of [...cuts, stream.length]) {
        const piece = stream.subarray(from, to);
        from = to;
        await new Promise<void>((resolve) => void response.write(piece, () => setImmediate(resolve)));
      }
      response.end();
    });
    const model = modelAt(upstream.url);
    const outcome = async () => {
      const parts: ModelPart[] = [];
      try {
        for await (const part of model.stream(ask(), new AbortController().signal)) parts.push(part);
      } catch (error) {
        return { parts, end: String(error) };
      }
      return { parts, end: `${parts.length} parts` };
    };
    const whole = await outcome();
    expect(whole.parts.length).toBeGreaterThanOrEqual(5);
    expect(whole.end).toMatch(new RegExp(`${end}$`));
    const anyCuts = uniqueArray(integer({ min: 1, max: stream.length - 1 }), { maxLength: 40 });
    await assert(
      asyncProperty(anyCuts, async (places) => {
        cuts = places.toSorted((a, b) => a - b);
        expect(await outcome()).toEqual(whole);
      }),
      { numRuns: 50 },
    );
  });
});

/** Servers that say just enough to be waited for, and how long they are. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Patience, type Overrun } from '../../src/model/patience.ts';
import {
  begin,
  chunk,
  failureOf,
  HELLO,
  HELLO_PARTS,
  modelAt,
  partsOf,
  PATIENT,
  startUpstream,
  STOP,
  type TestUpstream,
} from './upstream.ts';

let upstream: TestUpstream | null = null;
afterEach(async () => {
  await upstream?.stop();
  upstream = null;
});

const DRIP_MS = 10;

/** Sends `first`, and then `drop` over and over until its client hangs up, which `closed` tells. */
async function dripping(drop: string, first = ''): Promise<{ closed: Promise<void> }> {
  const closed = Promise.withResolvers<void>();
  upstream = await startUpstream(async (response) => {
    response.on('close', closed.resolve);
    begin(response);
    response.write(first);
    while (!response.destroyed) {
      response.write(drop);
      await sleep(DRIP_MS);
    }
  });
  return { closed: closed.promise };
}

const thought = (fields: object): string => chunk({ role: 'assistant', ...fields });

describe('a server that drips', () => {
  test.each<[string, string]>([
    ['comments', ': keep-alive\n\n'],
    ['blank lines', '\n'],
    ['single bytes of one comment', ':'],
    ['empty events', 'data:\n\n'],
    ['empty chunks', chunk({ role: 'assistant', content: '' })],
    ['chunks without choices', 'data: {"choices":[]}\n\n'],
    ['empty thoughts', thought({ content: null, reasoning_content: '', reasoning_details: [] })],
    ['empty parts', thought({ content: [{ type: 'text', text: '' }] })],
    ['usage', 'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n'],
    ['pings', 'event: ping\ndata: {"type":"ping"}\n\n'],
    ['calls that never begin', chunk({ tool_calls: [{ index: 0, function: { arguments: '' } }] })],
  ])('%s is given up, and not asked again', async (_, drop) => {
    const { closed } = await dripping(drop);
    const limits = { ...PATIENT, stallMs: 100 };
    const { parts, code, message } = await failureOf(modelAt(upstream?.url ?? '', { limits, retries: 2 }));
    expect([parts, code]).toEqual([[], 'server_error']);
    expect(message).toBe(
      "The upstream 'test' sent neither a word nor a call nor a thought, only signs of life, for 0.1 s and was given up. " +
        'The limit is UPSTREAM_STALL_MS, or stallMs of that upstream.',
    );
    expect(upstream?.asked).toHaveLength(1);
    await closed;
  });

  test.each<[string, object]>([
    ['reasoning_content', { reasoning_content: 'hm ' }],
    ['reasoning', { reasoning: 'hm ' }],
    ['reasoning_details', { reasoning_details: [{ type: 'reasoning.text', text: 'hm ' }] }],
    ['parts of content', { content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] }] }],
  ])('thoughts as %s may think for longer, but not for ever', async (_, fields) => {
    const { closed } = await dripping(thought(fields));
    const limits = { ...PATIENT, stallMs: 100, thinkMs: 400 };
    const { parts, message } = await failureOf(modelAt(upstream?.url ?? '', { limits, retries: 2 }));
    // The first two are passed on as they come.
    expect(parts.filter(({ type }) => type !== 'thought')).toEqual([]);
    expect(message).toBe(
      "The upstream 'test' sent nothing but thoughts for 0.4 s and was given up. " +
        'The limit is UPSTREAM_THINK_MS, or thinkMs of that upstream.',
    );
    expect(upstream?.asked).toHaveLength(1);
    await closed;
  });

  test('words is done at some time, too, and what it said was said', async () => {
    const { closed } = await dripping(chunk({ content: 'a' }));
    const limits = { ...PATIENT, stallMs: 100, thinkMs: 100, totalMs: 400 };
    const { parts, message } = await failureOf(modelAt(upstream?.url ?? '', { limits }));
    expect(parts[0]).toEqual({ type: 'text', text: 'a' });
    expect(message).toBe(
      "The upstream 'test' was not done with its answer after 0.4 s and was given up. " +
        'The limit is UPSTREAM_TOTAL_MS, or totalMs of that upstream.',
    );
    await closed;
  });

  test('comments behind its answer is not waited for', async () => {
    const { closed } = await dripping(': keep-alive\n\n', chunk({ content: 'Hello' }) + STOP);
    const limits = { ...PATIENT, totalMs: 200 };
    // The words count as whole: the server has said how they end.
    expect(await partsOf(modelAt(upstream?.url ?? '', { limits }))).toEqual(HELLO_PARTS);
    await closed;
  });

  test('a head and nothing else has the whole time to fall silent in', async () => {
    upstream = await startUpstream((response) => {
      begin(response);
      response.flushHeaders();
    });
    const limits = { ...PATIENT, idleMs: 300, stallMs: 100, thinkMs: 100 };
    expect((await failureOf(modelAt(upstream?.url ?? '', { limits }))).message).toContain(
      'sent nothing for 0.3 s',
    );
  });
});

test('a slow server is given the time of its own upstream', async () => {
  upstream = await startUpstream(async (response) => {
    begin(response);
    for (let count = 0; count < 8; count += 1) {
      response.write(': loading\n\n');
      await sleep(50);
    }
    response.end(HELLO);
  });
  const limits = { idleMs: 100, stallMs: 100, thinkMs: 100, totalMs: 100 };
  expect(await partsOf(modelAt(upstream?.url ?? '', { limits, upstream: PATIENT }))).toEqual(HELLO_PARTS);
});

describe('on a clock of the test', () => {
  const limits = { idleMs: 100, stallMs: 150, thinkMs: 300, totalMs: 1_000 };
  let patience: Patience;
  let givenUp: number;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
    givenUp = 0;
    patience = new Patience(limits, () => void (givenUp += 1));
  });
  afterEach(() => {
    patience.stop();
    vi.useRealTimers();
  });

  const bytesAfter = (ms: number): Promise<unknown> => patience.wait(() => vi.advanceTimersByTimeAsync(ms));

  test('what came while the process stood still is read before the server is given up', async () => {
    const fake = performance.now.bind(performance);
    let stoodStillMs = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => fake() + stoodStillMs);
    patience.hurry(limits.idleMs);
    await patience.wait(async () => {
      stoodStillMs += 20_000;
    });
    for (let packet = 0; packet < 3; packet += 1) await patience.wait(async () => {});
    expect(patience.over).toBeNull();
    await bytesAfter(300);
    expect(patience.over).toBe('totalMs');
  });

  test('no timer is set in the past, although time goes on while one looks', async () => {
    const fake = performance.now.bind(performance);
    let looks = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => fake() + (looks += 1) * 0.3);
    const set = vi.spyOn(globalThis, 'setTimeout');
    for (let wait = 1; wait <= 100; wait += 1) {
      await new Patience({ ...limits, idleMs: wait / 10 }, () => {}).wait(() =>
        vi.advanceTimersByTimeAsync(20),
      );
    }
    const delays = set.mock.calls.map(([, ms = 0]) => ms);
    expect(delays.length).toBeGreaterThan(100);
    expect(delays.filter((ms) => ms < 0)).toEqual([]);
  });

  test('signs of life, thoughts and words each begin their limit anew', async () => {
    for (let round = 0; round < 3; round += 1) {
      for (const says of ['', 'thought', '', 'thought', 'word'] as const) {
        await bytesAfter(60);
        if (says !== '') patience[says]();
      }
      expect(patience.over).toBeNull();
    }
    for (let count = 0; count < 9; count += 1) await bytesAfter(60);
    // The whole is over at a second, whatever came last.
    expect(patience.over).toBe('totalMs');
    expect(givenUp).toBe(1);
  });

  test.each<[Overrun, () => Promise<unknown>]>([
    ['idleMs', () => bytesAfter(351)],
    [
      'stallMs',
      async () => {
        for (let count = 0; count < 9; count += 1) await bytesAfter(50);
      },
    ],
    [
      'thinkMs',
      async () => {
        for (let count = 0; count < 12; count += 1) {
          await bytesAfter(50);
          patience.thought();
        }
      },
    ],
  ])('%s is told when it is the one that is over', async (limit, wait) => {
    await wait();
    expect([patience.over, givenUp]).toEqual([limit, 1]);
  });

  test('bytes that were there when the time was over are read first', async () => {
    await bytesAfter(149);
    expect(patience.over).toBeNull();
  });

  test('nobody waits, no time passes', async () => {
    await bytesAfter(90);
    await vi.advanceTimersByTimeAsync(100_000);
    await bytesAfter(90);
    expect(patience.over).toBeNull();
  });

  test('a server that has said it is done has a moment, however often it speaks', async () => {
    await bytesAfter(10);
    patience.word();
    patience.hurry(40);
    for (let count = 0; count < 35; count += 1) await bytesAfter(10);
    expect(patience.over).toBe('totalMs');
  });

  test('no timer is set per byte', async () => {
    const set = vi.spyOn(globalThis, 'setTimeout');
    for (let count = 0; count < 500; count += 1) {
      await bytesAfter(1);
      patience.word();
    }
    expect(set.mock.calls.length).toBeLessThan(10);
  });
});

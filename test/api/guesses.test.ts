/**
 * Guessing keys: ever slower by address, in parallel too, without a right key ever waiting, and in bounded memory. The clock is
 * the test's, except in the last group, where only the order of answers counts.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import { Guesses } from '../../src/api/http/guesses.ts';
import { ApiError } from '../../src/errors.ts';
import { ask } from '../support/raw.ts';
import { startService, type Service } from '../support/service.ts';

const STRANGER = '192.0.2.1';

let keyCount = 0;
/** The digest of a key that nobody has tried before. */
const anotherKey = (): string => `digest ${(keyCount += 1)}`;

describe('of one address', () => {
  let guesses: Guesses;
  beforeEach(() => {
    vi.useFakeTimers();
    guesses = new Guesses();
  });
  afterEach(() => void vi.useRealTimers());

  /** How long the answer to a wrong key is held back, by the test's clock. */
  async function delayOf(address = STRANGER): Promise<number> {
    const beganMs = performance.now();
    const answered = guesses.wrong(address, anotherKey());
    await vi.runAllTimersAsync();
    await answered;
    return performance.now() - beganMs;
  }

  /** What is said to wrong keys that come at once: how many are held back, and how many are refused. */
  async function inParallel(count: number, address = STRANGER): Promise<{ held: number; refused: number }> {
    let refused = 0;
    const refuse = (): void => void (refused += 1);
    for (let index = 0; index < count; index += 1) {
      try {
        guesses.admit(address);
        void guesses.wrong(address, anotherKey()).catch(refuse);
      } catch {
        refuse();
      }
    }
    await Promise.resolve();
    return { held: vi.getTimerCount(), refused };
  }

  test('wrong keys are answered at once, then ever later, up to a limit', async () => {
    const delaysMs: number[] = [];
    for (let index = 0; index < 12; index += 1) delaysMs.push(await delayOf());
    expect(delaysMs).toEqual([0, 0, 0, 0, 0, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    expect(await delayOf('192.0.2.2')).toBe(0);
  });

  test('no more than eight are on their way, and the next are not even compared', async () => {
    expect(await inParallel(100)).toEqual({ held: 8, refused: 100 - 5 - 8 });
    expect(() => guesses.admit(STRANGER)).toThrow(ApiError);
    guesses.admit('192.0.2.2');
    await vi.runAllTimersAsync();
    guesses.admit(STRANGER);
  });

  test('right keys are compared all the same where one has come before', async () => {
    guesses.right(STRANGER);
    expect(await inParallel(100)).toEqual({ held: 8, refused: 100 - 5 - 8 });
    expect(() => guesses.admit(STRANGER)).not.toThrow();
  });

  test('a network of IPv6 counts as one', async () => {
    for (let index = 0; index < 5; index += 1) expect(await delayOf(`2001:db8:1:2::${index}`)).toBe(0);
    expect(await delayOf('2001:db8:1:2:ffff::1')).toBe(500);
    expect(await delayOf('2001:db8:1:3::1')).toBe(0);
  });

  test('and so does a larger one of several, so that many networks in it win nothing', async () => {
    const compared = [];
    for (let network = 0; network < 200; network += 1) {
      const address = `2001:db8:1:${network.toString(16)}::1`;
      for (let guess = 0; guess < 20; guess += 1) {
        try {
          guesses.admit(address);
          compared.push(address);
          void guesses.wrong(address, anotherKey()).catch(() => {});
        } catch {
          // Not compared.
        }
      }
    }
    // Of two networks five are free and eight are held back; then all of them together have too many on their way.
    expect(compared).toHaveLength(2 * (5 + 8));
    expect(vi.getTimerCount()).toBe(16);
    guesses.admit('2001:db8:2::1');
  });

  test('a right key in one of its networks does not open the larger one', async () => {
    guesses.right('2001:db8:1:1::1');
    await inParallel(100, '2001:db8:1:2::1');
    await inParallel(100, '2001:db8:1:3::1');
    await inParallel(100, '2001:db8:1:4::1');
    expect(() => guesses.admit('2001:db8:1:5::1')).toThrow(ApiError);
    guesses.admit('2001:db8:1:1::2');
  });

  test('while the room for wrong answers is full, nobody’s keys are compared but newcomers’ and those of right ones', async () => {
    guesses.right('192.0.2.9');
    for (let index = 0; index < 130; index += 1) await inParallel(20, `198.51.100.${index}`);
    expect(vi.getTimerCount()).toBe(1_000);
    let compared = 0;
    for (let guess = 0; guess < 1_000; guess += 1) {
      try {
        guesses.admit('203.0.113.1');
        compared += 1;
        void guesses.wrong('203.0.113.1', anotherKey()).catch(() => {});
      } catch {
        // Not compared.
      }
    }
    expect(compared).toBe(5);
    guesses.admit('203.0.113.2');
    guesses.admit('192.0.2.9');
    await vi.runAllTimersAsync();
    guesses.admit('203.0.113.1');
  });

  test('keys whose look-up takes its time are counted one by one all the same', async () => {
    const looks: PromiseWithResolvers<null>[] = [];
    let refused = 0;
    const look = (): Promise<null> => {
      const slow = Promise.withResolvers<null>();
      looks.push(slow);
      return slow.promise;
    };
    const refuse = (): void => void (refused += 1);
    for (let index = 0; index < 100; index += 1)
      void guesses.check(STRANGER, anotherKey(), look).catch(refuse);
    await vi.advanceTimersByTimeAsync(0);
    for (let done = 0; done < looks.length; done += 1) {
      expect(looks).toHaveLength(done + 1);
      looks[done]?.resolve(null);
      await vi.advanceTimersByTimeAsync(0);
    }
    // As many as of keys that are compared at once.
    expect([looks.length, refused, vi.getTimerCount()]).toEqual([5 + 8, 100 - 5 - 8, 8]);
  });

  test('a right key lets those behind it be looked up together', async () => {
    const looks: PromiseWithResolvers<string>[] = [];
    const look = (): Promise<string> => {
      const slow = Promise.withResolvers<string>();
      looks.push(slow);
      return slow.promise;
    };
    const found = Array.from({ length: 50 }, () => guesses.check(STRANGER, 'the key', look));
    await vi.advanceTimersByTimeAsync(0);
    expect(looks).toHaveLength(1);
    looks[0]?.resolve('owner');
    await vi.advanceTimersByTimeAsync(0);
    expect(looks).toHaveLength(50);
    for (const slow of looks) slow.resolve('owner');
    expect(new Set(await Promise.all(found))).toEqual(new Set(['owner']));
  });

  test('a look-up that fails is no guess, and holds nobody up', async () => {
    const away = async (): Promise<never> => Promise.reject(new Error('Connection is closed'));
    const asked = Array.from({ length: 20 }, () => guesses.check(STRANGER, anotherKey(), away));
    const outcomes = await Promise.allSettled(asked);
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['rejected']));
    expect(await delayOf()).toBe(0);
  });

  test('a right key that came long ago does not speak for those who have guessed since', async () => {
    guesses.right(STRANGER);
    for (let minute = 0; minute < 16; minute += 1) {
      void guesses.wrong(STRANGER, anotherKey()).catch(() => {});
      await vi.advanceTimersByTimeAsync(60_000);
    }
    await inParallel(20);
    expect(() => guesses.admit(STRANGER)).toThrow(ApiError);
  });

  test('guesses are forgotten after a quarter of an hour of silence', async () => {
    for (let index = 0; index < 7; index += 1) await delayOf();
    await vi.advanceTimersByTimeAsync(14 * 60_000);
    expect(await delayOf()).toBe(2_000);
    await vi.advanceTimersByTimeAsync(15 * 60_000);
    expect(await delayOf()).toBe(0);
  });

  test('however many there are, only so many are remembered, and only so many answers held back', async () => {
    for (let index = 0; index < 30_000; index += 1)
      await guesses.wrong(`198.18.${index >> 8}.${index & 255}`, anotherKey());
    expect(guesses.size).toBe(10_000);
    let held = 0;
    for (let index = 0; index < 300; index += 1)
      held = (await inParallel(20, `198.51.${index >> 8}.${index & 255}`)).held;
    expect(held).toBe(1_000);
  });
});

describe('in a service', () => {
  const KEY = 'the right key';
  let service: Service;
  beforeAll(async () => {
    const env = { AUTH: 'key', API_KEY: KEY, TRUST_PROXY: 'loopback', DRAIN_MS: '0' };
    service = await startService({ redisUrl: inject('redisUrl'), workers: 0, env });
  });
  afterAll(() => service?.stop());

  const as = async (from: string, key: string, path = '/v1/assistants') =>
    ask(service.url, 'GET', path, { headers: { 'x-forwarded-for': from, authorization: `Bearer ${key}` } });

  /** The statuses of `count` wrong keys that are sent at once. */
  async function guess(from: string, count: number, path?: string): Promise<number[]> {
    const replies = await Promise.all(Array.from({ length: count }, () => as(from, anotherKey(), path)));
    return replies.map(({ status }) => status);
  }

  test('a right key overtakes the wrong ones of its own address, and of every other', async () => {
    expect((await as('192.0.2.1', KEY)).status).toBe(200);
    expect(await guess('192.0.2.1', 5)).toEqual([401, 401, 401, 401, 401]);
    const order: string[] = [];
    const wrong = guess('192.0.2.1', 1).then(() => order.push('wrong'));
    for (const from of ['192.0.2.1', '192.0.2.2']) {
      expect((await as(from, KEY)).status).toBe(200);
      order.push('right');
    }
    await wrong;
    expect(order).toEqual(['right', 'right', 'wrong']);
  });

  test('guesses over all paths count together, and too many at once are sent away without a look', async () => {
    const from = '192.0.2.3';
    expect(await guess(from, 3, '/chat/completions')).toEqual([401, 401, 401]);
    expect(await guess(from, 2, '/api/assts/v1/threads')).toEqual([401, 401]);
    // Eight are held back; they end with the service.
    const refused = await Promise.race(
      Array.from({ length: 9 }, async () => {
        const reply = await as(from, anotherKey()).catch(() => null);
        return reply?.status === 429 ? reply : new Promise<never>(() => {});
      }),
    );
    expect(JSON.parse(refused.text)).toMatchObject({ error: { code: 'too_many_wrong_keys' } });
    expect(refused.headers['retry-after']).toBe('10');
    // Nobody has sent a right key from here, so it is not even compared.
    expect((await as(from, KEY)).status).toBe(429);
    expect((await as('192.0.2.4', KEY)).status).toBe(200);
  });
});

test('the same wrong key again is no guess: whoever kept it after a change keeps nobody out', async () => {
  const guesses = new Guesses();
  for (let count = 0; count < 100; count += 1) await guesses.wrong('203.0.113.1', 'the old key');
  expect(() => guesses.admit('203.0.113.1')).not.toThrow();
});

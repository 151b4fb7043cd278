/** Redis' time, as a process has it: whatever its own clock says, and whatever is done to that. */
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createLog } from '../../src/log.ts';
import { RedisClock } from '../../src/store/clock.ts';

const HOUR_MS = 3_600_000;
const MEASURE_EVERY_MS = 5_000;

/** A Redis whose clock the test sets, and a log. */
let aheadMs = 0;
const redisMs = (): number => 1_000_000 + performance.now() + aheadMs;
const lines: { readonly level: string; readonly fields: unknown }[] = [];
const log = createLog({ logLevel: 'silent' }, 'test');
for (const level of ['info', 'warn'] as const) {
  Reflect.set(log, level, (fields: unknown) => lines.push({ level, fields }));
}
const redis = {
  time: async () => {
    const ms = redisMs();
    return [Math.floor(ms / 1000), (ms % 1000) * 1000] satisfies [number, number];
  },
};

beforeEach(() => {
  lines.length = 0;
  vi.useFakeTimers({ toFake: ['Date', 'performance', 'setInterval', 'clearInterval'], now: 1_000_000 });
  aheadMs = -performance.now();
  onTestFinished(() => void vi.useRealTimers());
});

async function open(): Promise<RedisClock> {
  const clock = new RedisClock(redis, log);
  await clock.begin();
  onTestFinished(() => clock.close());
  return clock;
}

/** Time goes by, for everybody. */
const pass = async (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

describe('the time', () => {
  test.each([0, 60_000, -60_000, 15 * HOUR_MS])('is Redis’ when that is %d ms ahead', async (ms) => {
    aheadMs += ms;
    const clock = await open();
    expect(clock.nowMs()).toBe(redisMs());
    expect(clock.now()).toBe(Math.floor(redisMs() / 1000));
    expect(clock.skewMs + ms).toBe(0);
    await pass(3_000);
    expect(clock.nowMs()).toBe(redisMs());
  });

  test('goes on when the machine’s clock is set back', async () => {
    const clock = await open();
    await pass(1_000);
    vi.setSystemTime(1_001_000 - HOUR_MS);
    expect(clock.nowMs()).toBe(1_001_000);
    await pass(MEASURE_EVERY_MS);
    expect(clock.nowMs()).toBe(redisMs());
    expect(clock.skewMs).toBe(-HOUR_MS);
  });

  test('follows Redis’ when that is set, or another server takes its place', async () => {
    const clock = await open();
    aheadMs += 7_000;
    await pass(MEASURE_EVERY_MS);
    expect(clock.nowMs()).toBe(redisMs());
  });

  test('is left as it is while a measurement cannot tell better', async () => {
    const clock = await open();
    const slow = vi.spyOn(redis, 'time').mockImplementation(async () => {
      await vi.advanceTimersByTimeAsync(400);
      // It was read at the very end of the way.
      return [Math.floor(redisMs() / 1000), (redisMs() % 1000) * 1000];
    });
    onTestFinished(() => slow.mockRestore());
    await pass(MEASURE_EVERY_MS);
    expect(slow).toHaveBeenCalledTimes(1);
    expect(Math.abs(clock.nowMs() - redisMs())).toBeLessThanOrEqual(400);
  });
});

describe('a difference', () => {
  test('is told once when it is large, and once when it is gone', async () => {
    aheadMs += 60_000;
    await open();
    await pass(2 * MEASURE_EVERY_MS);
    expect(lines).toStrictEqual([{ level: 'warn', fields: { skew_ms: -60_000 } }]);
    vi.setSystemTime(redisMs());
    await pass(2 * MEASURE_EVERY_MS);
    expect(lines).toStrictEqual([
      { level: 'warn', fields: { skew_ms: -60_000 } },
      { level: 'info', fields: { skew_ms: 0 } },
    ]);
  });

  test('is not told when it is small', async () => {
    aheadMs += 1_500;
    await open();
    expect(lines).toStrictEqual([]);
  });
});

/** How long an upstream is waited for, by a clock of the test; and that it is, by real servers that come late. */
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { pino } from 'pino';
import { Waits, type WaitRules } from '../../src/model/waits.ts';
import {
  ask,
  failureOf,
  HELLO,
  HELLO_PARTS,
  modelAt,
  partsOf,
  startUpstream,
  type TestUpstream,
} from './upstream.ts';

const busy = { retryable: true, absence: null, retryAfterMs: null } as const;
const away = { ...busy, absence: 'away' } as const;
const loading = { ...busy, absence: 'loading' } as const;

/** The waits after failures that repeat until there is no further try, at most `count` of them. */
function waitsAfter(
  failed: Parameters<Waits['after']>[0],
  isKnown: boolean,
  rules: Partial<WaitRules> = {},
  count = 1_000,
) {
  let now = 0;
  const waits = new Waits({
    retries: 2,
    backoffMs: 500,
    waitMs: 600_000,
    nowMs: () => now,
    random: () => 0.999_999,
    ...rules,
  });
  const all: { readonly waitMs: number; readonly isTold: boolean; readonly atMs: number }[] = [];
  while (all.length < count) {
    const wait = waits.after(failed, isKnown);
    if (wait === null) return { all, atMs: now, isOver: waits.isOver };
    all.push({ ...wait, atMs: now });
    now += wait.waitMs;
  }
  return { all, atMs: now, isOver: false };
}

describe('the wait', () => {
  test('for a busy upstream doubles, and ends after the tries that are configured', () => {
    const { all, isOver } = waitsAfter(busy, true, { retries: 6 });
    expect(all.map(({ waitMs }) => waitMs)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 8_000]);
    expect(isOver).toBe(false);
  });

  test('for one that cannot answer yet doubles up to five seconds, and lasts exactly as long as is configured', () => {
    for (const failed of [away, loading]) {
      const { all, atMs, isOver } = waitsAfter(failed, true);
      expect(all.slice(0, 5).map(({ waitMs }) => waitMs)).toEqual([500, 1_000, 2_000, 4_000, 5_000]);
      expect([atMs, isOver]).toEqual([600_000, true]);
    }
  });

  test('for an address that never answered is ten seconds; one that says that it loads has answered', () => {
    expect(waitsAfter(away, false).atMs).toBe(10_000);
    expect(waitsAfter(away, false, { waitMs: 3_000 }).atMs).toBe(3_000);
    expect(waitsAfter(loading, false).atMs).toBe(600_000);
  });

  test('is told at once and then twice a minute', () => {
    const told = waitsAfter(away, true).all.filter(({ isTold }) => isTold);
    expect(told.length).toBeGreaterThanOrEqual(17);
    expect(told.length).toBeLessThanOrEqual(20);
    const gaps = told.slice(1).map(({ atMs }, index) => atMs - (told[index]?.atMs ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(30_000);
  });

  test('has jitter', () => {
    expect(waitsAfter(away, true, { random: () => 0 }, 1).all[0]?.waitMs).toBe(250);
  });

  test('is what the upstream asks for, or there is none', () => {
    expect(waitsAfter({ ...busy, retryAfterMs: 20_000 }, true, {}, 1).all[0]?.waitMs).toBe(20_000);
    expect(waitsAfter({ ...loading, retryAfterMs: 20_000 }, true, {}, 1).all[0]?.waitMs).toBe(20_000);
    expect(waitsAfter({ ...loading, retryAfterMs: 31_000 }, true).all).toEqual([]);
  });

  test('without patience is that for a busy one', () => {
    const { all, isOver } = waitsAfter(away, true, { waitMs: 0 });
    expect(all.map(({ waitMs }) => waitMs)).toEqual([500, 1_000]);
    expect(isOver).toBe(false);
  });
});

describe('an upstream', () => {
  let upstream: TestUpstream;
  afterEach(() => upstream.stop());
  const patient = { waitMs: 60_000 };

  test.each<[string, (response: ServerResponse) => void]>([
    [
      'that loads its model',
      (response) => response.writeHead(503).end('{"error":{"message":"Loading model"}}'),
    ],
    ['whose proxy has nothing behind it', (response) => response.writeHead(503).end('<html>503</html>')],
    ['whose proxy reaches nothing', (response) => response.writeHead(502).end('<html>502</html>')],
    [
      'whose proxy is refused',
      (response) => response.writeHead(502).end('connect error: Connection refused'),
    ],
    ['that says so in its stream', (response) => response.end('data: {"error":"model is loading"}\n\n')],
    ['that resets', (response) => response.socket?.resetAndDestroy()],
  ])('%s is waited for beyond its tries', async (_, fail) => {
    upstream = await startUpstream((response, count) =>
      count < 9 ? fail(response) : void response.end(HELLO),
    );
    expect(await partsOf(modelAt(upstream.url, patient))).toEqual(HELLO_PARTS);
    expect(upstream.asked).toHaveLength(9);
  });

  test('that is restarted is waited for, and the log says so once', async () => {
    upstream = await startUpstream((response) => void response.end(HELLO));
    const lines: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
    const model = modelAt(upstream.url, { ...patient, log });
    await partsOf(model);
    const { port } = new URL(upstream.url);
    await upstream.stop();
    const answer = partsOf(model);
    await expect.poll(() => lines.length).toBe(1);
    upstream = await startUpstream((response) => void response.end(HELLO), Number(port));
    expect(await answer).toEqual(HELLO_PARTS);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('an upstream that cannot answer yet is waited for');
  });

  test('that never answered is given up soon, and it is said what to check', async () => {
    const silent = createServer((socket) => void socket.destroy()).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = silent.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    let now = 0;
    const model = modelAt(`http://127.0.0.1:${address.port}/v1`, { ...patient, nowMs: () => (now += 1_500) });
    const { message } = await failureOf(model);
    expect(message).toMatch(
      /^The upstream 'test' cannot be reached \(\w+\)\. Check that it runs, and its baseUrl\. It was waited for 1\d s, no longer because it has never answered this worker\.$/,
    );
    silent.close();
    upstream = await startUpstream(() => {});
  });

  test('is not waited for longer than the caller can wait', async () => {
    upstream = await startUpstream((response) => void response.writeHead(503).end('loading'));
    const { message } = await failureOf(modelAt(upstream.url, patient), ask({ wait_ms: 50 }));
    expect(message).toMatch(/failed \(503\)\. It said: loading It was waited for 0 s\.$/);
  });

  test('has patience of its own', async () => {
    upstream = await startUpstream((response) => void response.writeHead(503).end('loading'));
    await failureOf(modelAt(upstream.url, { ...patient, upstream: { waitMs: 0 }, retries: 1 }));
    expect(upstream.asked).toHaveLength(2);
  });

  test('that has no such model is not waited for', async () => {
    upstream = await startUpstream(
      (response) =>
        void response.writeHead(503).end('{"error":{"message":"当前分组下对于模型 m 无可用渠道"}}'),
    );
    await failureOf(modelAt(upstream.url, { ...patient, retries: 1 }));
    expect(upstream.asked).toHaveLength(2);
  });

  test('is no longer waited for when the run is over', async () => {
    const abort = new AbortController();
    upstream = await startUpstream((response, count) => {
      response.writeHead(503).end('loading');
      if (count === 3) abort.abort('enough');
    });
    const asking = partsOf(modelAt(upstream.url, patient), ask(), abort.signal);
    await expect(asking).rejects.toBe('enough');
  });
});

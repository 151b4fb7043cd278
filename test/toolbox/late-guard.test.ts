/** The guard of one call, which is loaded with its first request. */
import { expect, onTestFinished, test } from 'vitest';
import { LateGuard } from '../../src/toolbox/child/late-guard.ts';
import { FakeUpstream } from '../support/upstream.ts';

test('guards as the one it loads: what is not allowed is refused', async () => {
  const upstream = await FakeUpstream.start();
  onTestFinished(() => upstream.stop());
  const { host } = new URL(upstream.baseUrl);
  const allowing = new LateGuard([host]);
  expect((await allowing.fetch(`${upstream.baseUrl}/models`)).status).toBe(200);
  await allowing.close();
  const refusing = new LateGuard([]);
  await expect(refusing.fetch(`${upstream.baseUrl}/models`)).rejects.toThrow(/./);
  await refusing.close();
});

test('reaches nothing once the call is over, whether it has fetched or not', async () => {
  const upstream = await FakeUpstream.start();
  onTestFinished(() => upstream.stop());
  const url = `${upstream.baseUrl}/models`;
  const unused = new LateGuard([new URL(url).host]);
  const used = new LateGuard([new URL(url).host]);
  expect((await used.fetch(url)).ok).toBe(true);
  for (const guard of [unused, used]) {
    await guard.close();
    await expect(guard.fetch(url)).rejects.toThrow(/./);
  }
});

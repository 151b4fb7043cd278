/** Readers that do not read: they cost the API little, however much there is to say, and miss nothing in the end. */
import { request, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { metricsOf } from '../support/metrics.ts';
import { says } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

const MEGABYTE = 1024 * 1024;
const FRAGMENT = 4 * 1024;
const FRAGMENTS = 2_048;
const READERS = 8;

const { upstream, service, wire } = withService();

/** Asks and leaves the answer where it is, which fills every buffer on the way. */
function open(method: string, path: string, body = ''): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asking = request(`${service.baseUrl}${path}`, { method, agent: false });
    asking.once('error', reject);
    asking.once('response', (response) => resolve(response.pause()));
    asking.end(body);
  });
}

const memory = async (): Promise<number> => (await metricsOf(service.url)).get('longrun_memory_bytes') ?? NaN;

const deltaSchema = z.object({
  delta: z.object({ content: z.tuple([z.object({ text: z.object({ value: z.string() }) })]) }),
});

/** The words in the frames of a stream. */
function saidIn(frames: string): string {
  const deltas = frames.matchAll(/^event: thread\.message\.delta\ndata: (.+)$/gm);
  return [...deltas]
    .map(([, data = '']) => deltaSchema.parse(JSON.parse(data)).delta.content[0].text.value)
    .join('');
}

test('a story of megabytes waits in its log, and arrives whole and once when it is read', async () => {
  const fragments = Array.from({ length: FRAGMENTS }, (_, index) => String(index).padEnd(FRAGMENT, '.'));
  upstream.reply(() => says(...fragments));
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const thread = await wire.thread('a very long story');
  const path = `/threads/${thread}/runs`;
  const beginner = await open('POST', path, JSON.stringify({ assistant_id, stream: true }));
  const [run] = await wire.list(path);
  await service.waitForLog((line) => line['event'] === 'run.completed');

  const before = await memory();
  const readers = await Promise.all(
    Array.from({ length: READERS }, () => open('GET', `${path}/${run?.id}/events`)),
  );
  let most = 0;
  for (let looks = 0; looks < 20; looks++) {
    await delay(50);
    most = Math.max(most, await memory());
  }
  // Less than half of what it is when every reader holds all that is still to be said, as events, frames and bytes.
  expect((most - before) / MEGABYTE).toBeLessThan(300);

  const story = fragments.join('');
  for (const reader of [beginner, ...readers.slice(0, 2)]) {
    const frames = await text(reader);
    expect(saidIn(frames) === story).toBe(true);
    expect(frames.endsWith('event: done\ndata: [DONE]\n\n')).toBe(true);
  }
  for (const reader of readers) reader.destroy();
});

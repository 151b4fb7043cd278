/**
 * What scrolling through many runs costs the readers of the console: `npm run bench:console`. Makes copies of a run, opens their list
 * in Chromium, and turns the wheel until the oldest is there, while runs go on. Says how long frames took, and what was drawn.
 * Options: `--runs 5000`, `--step 400` (pixels per turn of the wheel), `--rounds 3`.
 */
import { parseArgs } from 'node:util';
import type { Page } from 'playwright-core';
import { ConsoleBrowser } from '../test/console/browser.ts';
import { copyRun } from '../test/console/many-runs.ts';
import { scrollThrough, summary } from '../test/console/scrolling.ts';
import { startPrivateRedis } from '../test/support/redis.ts';
import { startService, type Service } from '../test/support/service.ts';
import { FakeUpstream } from '../test/support/upstream.ts';
import { Wire } from '../test/support/wire.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5000' },
    step: { type: 'string', default: '400' },
    rounds: { type: 'string', default: '3' },
  },
});
const [RUNS, STEP, ROUNDS] = [Number(values.runs), Number(values.step), Number(values.rounds)];
/** Between runs that go on meanwhile. */
const RUN_EVERY_MS = 500;

const PARTS = ['ScriptDuration', 'LayoutDuration', 'RecalcStyleDuration', 'TaskDuration'];

/**
 * What the browser's thread of a page works from now on, in processor time: how long frames take says more about what else the
 * machine does. @returns the work for each frame so far, in words
 */
async function workOf(page: Page): Promise<(frames: number) => Promise<string>> {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const read = async (): Promise<ReadonlyMap<string, number>> => {
    const { metrics } = await session.send('Performance.getMetrics');
    return new Map(metrics.map(({ name, value }) => [name, value]));
  };
  const before = await read();
  return async (frames) => {
    const after = await read();
    const perFrame = (name: string): string =>
      ((((after.get(name) ?? 0) - (before.get(name) ?? 0)) * 1_000) / frames).toFixed(2);
    return PARTS.map((name) => `${name} ${perFrame(name)} ms`).join(', ');
  };
}

async function measure(service: Service, redisUrl: string): Promise<void> {
  const wire = new Wire(service.baseUrl);
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm', name: 'Weather desk' });
  const run = await wire.play(await wire.thread('copy me'), { assistant_id });
  const ref = { project: 'default', threadId: run.thread_id, runId: run.id };
  await copyRun({ redisUrl, prefix: service.redisPrefix }, ref, RUNS);
  const browser = new ConsoleBrowser(() => service.url);
  await browser.launch();
  try {
    for (let round = 1; round <= ROUNDS; round += 1) {
      const page = await browser.open('/runs');
      await page.getByText('Live', { exact: true }).waitFor();
      const goOn = setInterval(() => {
        wire.thread('go on').then(
          async (thread) => wire.play(thread, { assistant_id }),
          (error: unknown) => console.log(String(error)),
        );
      }, RUN_EVERY_MS);
      const end = page.getByText(/^[\d,]+ runs$/);
      const work = await workOf(page);
      const scrolled = await scrollThrough(page, STEP, async () => (await end.count()) > 0);
      clearInterval(goOn);
      console.log(`${RUNS} runs, round ${round}: ${summary(scrolled)}`);
      console.log(`  of the page's own thread, per frame: ${await work(scrolled.frames.length)}`);
      await page.close();
    }
  } finally {
    await browser.close();
  }
  if (browser.complaints.length > 0) throw new Error(browser.complaints.join('\n'));
}

const redis = await startPrivateRedis();
const upstream = await FakeUpstream.start();
const service = await startService({ redisUrl: redis.url, upstream });
try {
  await measure(service, redis.url);
} finally {
  await service.stop();
  await upstream.stop();
  await redis.stop();
}

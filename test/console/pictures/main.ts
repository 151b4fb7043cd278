/**
 * `npm run pictures`: the pictures of the console in docs/pictures, taken anew. Starts a service of its own over the demo model,
 * with a Redis of its own, so that nothing of this machine is on them. Needs Chromium and `redis-server`.
 *
 * With names as arguments it takes only those (`npm run pictures -- service glasses-phone`).
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContextOptions } from 'playwright-core';
import { startDemoModel } from '../../../src/model/demo.ts';
import { startServer } from '../../support/redis-process.ts';
import { startService } from '../../support/service.ts';
import { CHROMIUM, DESKTOP, PHONE } from '../browser.ts';
import { LANGUAGES, SCENES, type Stage } from './scenes.ts';
import { Traffic } from './traffic.ts';

const FOLDER = join(import.meta.dirname, '../../../docs/pictures');
/** Readers of README.md load them all. */
const MAX_BYTES = 150_000;

interface Picture {
  readonly name: string;
  readonly scene: keyof typeof SCENES;
  readonly colorScheme: 'light' | 'dark';
  readonly viewport: { readonly width: number; readonly height: number };
}

const PICTURES: readonly Picture[] = [
  { name: 'playground', scene: 'playground', colorScheme: 'light', viewport: DESKTOP },
  { name: 'playground-dark', scene: 'playground', colorScheme: 'dark', viewport: DESKTOP },
  { name: 'runs', scene: 'runs', colorScheme: 'light', viewport: DESKTOP },
  { name: 'run', scene: 'run', colorScheme: 'light', viewport: DESKTOP },
  { name: 'glasses', scene: 'glasses', colorScheme: 'light', viewport: DESKTOP },
  { name: 'glasses-phone', scene: 'glasses', colorScheme: 'light', viewport: PHONE },
  { name: 'service', scene: 'service', colorScheme: 'light', viewport: DESKTOP },
  { name: 'service-dark', scene: 'service', colorScheme: 'dark', viewport: DESKTOP },
];

async function main(names: readonly string[]): Promise<void> {
  if (CHROMIUM === null) throw new Error('There is no Chromium on this machine.');
  const wanted = PICTURES.filter(({ name }) => names.length === 0 || names.includes(name));
  mkdirSync(FOLDER, { recursive: true });
  await using started = new AsyncDisposableStack();
  const demo = await startDemoModel({ port: 0, host: '127.0.0.1', apiKey: null });
  started.defer(async () => demo.stop());
  const redis = await startServer({});
  started.defer(async () => redis.stop());
  const redisUrl = `redis://127.0.0.1:${redis.port}`;
  const service = await startService({ redisUrl, upstream: { baseUrl: demo.url }, workers: 2, env: {} });
  started.defer(async () => service.stop());
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  started.defer(async () => browser.close());
  for (const language of LANGUAGES) {
    const traffic = new Traffic(service.baseUrl, language);
    const last = await traffic.begin();
    for (const picture of wanted) {
      const stage = { url: service.url, language, ...last };
      await take(browser, picture, stage).catch((error: unknown) => {
        process.exitCode = 1;
        console.error(`${picture.name}, ${language}: ${String(error)}`);
      });
    }
    await traffic.end();
  }
}

async function take(
  browser: Browser,
  { name, scene, colorScheme, viewport }: Picture,
  stage: Omit<Stage, 'page'>,
): Promise<void> {
  const locale = stage.language === 'zh' ? 'zh-CN' : 'en-GB';
  const options: BrowserContextOptions = { colorScheme, viewport, locale, reducedMotion: 'reduce' };
  const context = await browser.newContext(options);
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    await SCENES[scene]({ ...stage, page });
    const path = join(FOLDER, `${name}${stage.language === 'zh' ? '.zh-CN' : ''}.png`);
    const png = await page.screenshot();
    if (png.length > MAX_BYTES)
      throw new Error(`is ${png.length} bytes long, and at most ${MAX_BYTES} are wanted`);
    rmSync(path, { force: true });
    writeFileSync(path, png);
    console.log(`${path}: ${Math.round(png.length / 1_000)} kB`);
  } finally {
    await context.close();
  }
}

await main(process.argv.slice(2));

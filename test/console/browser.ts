/**
 * A browser before the console, as its readers have it: Debian's Chromium, driven by playwright-core. Where there is none, the tests
 * that need it are skipped.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { AxeResults } from 'axe-core';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
export const CHROMIUM = PLACES.find((path) => existsSync(path)) ?? null;

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** A folder for pictures of the pages; none are taken without it. */
const SHOTS = process.env['CONSOLE_SHOTS'];

/** A page that takes longer than this hangs; on a busy machine the first one waits until the console is built. */
const HANGS_MS = 120_000;

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 375, height: 740 };

export class ConsoleBrowser {
  /** What the pages complained about: errors of scripts, and what the policy forbade. */
  readonly complaints: string[] = [];
  readonly #url: () => string;
  #browser: Browser | null = null;
  /** The window of readers who ask for nothing special. To make another one costs as much as to load the console three times. */
  #usual: Page | null = null;
  #isTaken = false;

  /** @param url the origin of the service */
  constructor(url: () => string) {
    this.#url = url;
  }

  async launch(): Promise<void> {
    const executablePath = CHROMIUM ?? '';
    this.#browser = await chromium.launch({
      executablePath,
      args: ['--no-sandbox', '--disable-dev-shm-usage', '--use-fake-device-for-media-stream'],
    });
  }

  async close(): Promise<void> {
    await this.#browser?.close();
  }

  /**
   * A window of a reader who was never here, at an address below `/console`.
   * @param options of a window of its own, which those need that leave something there for good, such as scripts
   */
  async open(path: string, options?: BrowserContextOptions): Promise<Page> {
    const page = options === undefined ? await this.#take() : await this.#window(options);
    page.on('pageerror', (error) => this.complaints.push(String(error.stack ?? error)));
    page.on('console', (message) => {
      // The browser says so of every answer that is a refusal, and those are shown on the page.
      const isAnswer = message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !isAnswer) this.complaints.push(message.text());
    });
    await page.goto(`${this.#url()}/console${path}`);
    return page;
  }

  /** The reader has gone. */
  async leave(page: Page): Promise<void> {
    if (page !== this.#usual) return page.close();
    const context = page.context();
    await Promise.all([
      context.unrouteAll({ behavior: 'ignoreErrors' }),
      page.unrouteAll({ behavior: 'ignoreErrors' }),
    ]);
    page.removeAllListeners();
    const { origin } = new URL(page.url());
    await page.evaluate('sessionStorage.clear()');
    await page.goto('about:blank');
    const session = await context.newCDPSession(page);
    await session.send('Storage.clearDataForOrigin', { origin, storageTypes: 'all' });
    await session.detach();
    await page.emulateMedia({ colorScheme: null, reducedMotion: null });
    await page.setViewportSize(DESKTOP);
    this.#isTaken = false;
  }

  async #take(): Promise<Page> {
    if (this.#isTaken) return this.#window();
    this.#isTaken = true;
    this.#usual ??= await this.#window();
    return this.#usual;
  }

  async #window(options: BrowserContextOptions = {}): Promise<Page> {
    if (this.#browser === null) throw new Error('The browser was not launched.');
    const context = await this.#browser.newContext({ viewport: DESKTOP, locale: 'en-GB', ...options });
    context.setDefaultTimeout(HANGS_MS);
    return context.newPage();
  }
}

/** What axe can find here that keeps people out. */
const RULES = {
  all: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  /** All that depends on colours. */
  contrast: ['color-contrast', 'link-in-text-block'],
} as const;

/** Serious and critical violations of WCAG 2.2 A and AA. */
export async function barriers(page: Page, rules: keyof typeof RULES = 'all'): Promise<readonly string[]> {
  // The page's policy forbids scripts from elsewhere; this one comes by the protocol of the browser's tools.
  if (!(await page.evaluate<boolean>("'axe' in globalThis"))) await page.evaluate(AXE);
  const runOnly = { type: rules === 'all' ? 'tag' : 'rule', values: RULES[rules] };
  const results = await page.evaluate<AxeResults>(`axe.run(document, ${JSON.stringify({ runOnly })})`);
  return results.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(
      ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`,
    );
}

/** Checks a page in light and dark, on a desk and on a phone; takes a picture of each where they are wanted. */
export async function barriersEverywhere(page: Page, name: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const [device, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize(viewport);
      const where = `${name}-${colorScheme}-${device}`;
      const isWide = 'document.documentElement.scrollWidth > document.documentElement.clientWidth';
      if (await page.evaluate<boolean>(isWide)) found.push(`${where}: wider than the screen`);
      // A screen as high as the page: what stays in view while readers scroll covers nothing there.
      const height = await page.evaluate<number>('document.documentElement.scrollHeight');
      await page.setViewportSize({ ...viewport, height: Math.max(viewport.height, height) });
      const rules = colorScheme === 'light' ? 'all' : 'contrast';
      found.push(...(await barriers(page, rules)).map((barrier) => `${where}: ${barrier}`));
      if (SHOTS !== undefined) {
        mkdirSync(SHOTS, { recursive: true });
        await page.screenshot({ path: join(SHOTS, `${where}.png`), fullPage: true });
      }
    }
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
  await page.setViewportSize(DESKTOP);
  return found;
}

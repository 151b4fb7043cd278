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

  /** A window of a reader who was never here, at an address below `/console`. */
  async open(path: string, options: BrowserContextOptions = {}): Promise<Page> {
    if (this.#browser === null) throw new Error('The browser was not launched.');
    const context = await this.#browser.newContext({ viewport: DESKTOP, locale: 'en-GB', ...options });
    context.setDefaultTimeout(HANGS_MS);
    const page = await context.newPage();
    page.on('pageerror', (error) => this.complaints.push(String(error.stack ?? error)));
    page.on('console', (message) => {
      // The browser says so of every answer that is a refusal, and those are shown on the page.
      const isAnswer = message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !isAnswer) this.complaints.push(message.text());
    });
    await page.goto(`${this.#url()}/console${path}`);
    return page;
  }
}

/** What axe finds that keeps people out: serious and critical violations of WCAG 2.2 A and AA. */
export async function barriers(page: Page): Promise<readonly string[]> {
  // The page's policy forbids scripts from elsewhere; this one comes by the protocol of the browser's tools.
  await page.evaluate(AXE);
  const results = await page.evaluate<AxeResults>(
    "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })",
  );
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
      found.push(...(await barriers(page)).map((barrier) => `${where}: ${barrier}`));
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

/**
 * The set-up of the tests of the console's pages, as support/with-service.ts is that of the API: a browser, launched before the first
 * test of the file, or of the `describe` that calls this. What a test opens is closed when the test has ended.
 */
import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { CHROMIUM, ConsoleBrowser } from './browser.ts';

export interface WithBrowser {
  /** As {@link ConsoleBrowser.open}. */
  readonly open: (path: string, options?: BrowserContextOptions) => Promise<Page>;
  /** As {@link ConsoleBrowser.complaints}. */
  readonly complaints: readonly string[];
}

/** @param url the origin of the service; called when a page is opened */
export function withBrowser(url: () => string): WithBrowser {
  const browser = new ConsoleBrowser(url);
  beforeAll(async () => {
    if (CHROMIUM !== null) await browser.launch();
  });
  afterAll(async () => browser.close());
  const open: WithBrowser['open'] = async (path, options) => {
    const page = await browser.open(path, options);
    onTestFinished(async () => browser.leave(page));
    return page;
  };
  return { open, complaints: browser.complaints };
}

/** The console while the server is away, and how it goes on when it is back; where the keyboard is after a link. */
import { describe, expect, test } from 'vitest';
import { withService } from '../support/with-service.ts';
import { CHROMIUM, PHONE } from './browser.ts';
import { withBrowser } from './with-browser.ts';

const { service, wire } = withService();
const browser = withBrowser(() => service.url);

describe.skipIf(CHROMIUM === null)('the console', () => {
  test('goes on by itself when the server is back: pages that were never loaded, lists, and single objects', async () => {
    await wire.ok('POST', '/threads', { messages: [{ role: 'user', content: 'still here' }] });
    const page = await browser.open('/threads');
    const link = page.getByRole('link', { name: 'still here' });
    await link.waitFor();
    const waiting = page.getByRole('alert').filter({ hasText: 'goes on by itself' });
    const followAway = async (name: string): Promise<void> => {
      await page.context().route('**/*', async (route) => route.abort());
      await page.getByRole('link', { name }).click();
      await waiting.first().waitFor();
      await page.context().unroute('**/*');
    };
    await followAway('still here');
    await page.getByRole('button', { name: 'Delete thread' }).waitFor();
    await followAway('← Threads');
    await link.waitFor();
    // Its module was never loaded.
    await followAway('Assistants');
    await page.getByText('No assistants yet.').waitFor();
    expect(await waiting.count()).toBe(0);
  });

  test('gives the keyboard to the page that a link opens, and leaves it where a page is opened anew', async () => {
    const page = await browser.open('/files');
    await page.getByRole('link', { name: 'Stores' }).click();
    await page.getByText('No vector stores yet.').waitFor();
    const focused = async (): Promise<unknown> => page.evaluate('document.activeElement?.tagName');
    await expect.poll(focused).toBe('MAIN');
    await page.getByLabel('Language').focus();
    await page.getByLabel('Language').selectOption('中文');
    await page.getByText('还没有向量库。').waitFor();
    expect(await focused()).toBe('SELECT');
  });

  test('shows the ways to all pages on a phone', async () => {
    for (const locale of ['en', 'zh-CN']) {
      const page = await browser.open('/service', { viewport: PHONE, locale });
      const links = page.locator('.top nav a');
      await links.first().waitFor();
      for (const way of await links.all()) {
        const box = await way.boundingBox();
        expect(box === null || box.x < 0 || box.x + box.width > PHONE.width).toBe(false);
      }
    }
  });

  test('lets no script of others run meanwhile', () => {
    expect(browser.complaints).toStrictEqual([]);
  });
});

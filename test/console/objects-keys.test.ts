/** The console where keys are asked for: whose objects are shown, and what is said of a key that is wrong. */
import { describe, expect, test } from 'vitest';
import { withService } from '../support/with-service.ts';
import { Wire } from '../support/wire.ts';
import { barriersEverywhere, CHROMIUM } from './browser.ts';
import { withBrowser } from './with-browser.ts';

const { service, upstream } = withService({ env: { AUTH: 'key', API_KEY: 'the-right-key' } });
/** Of an API that has other keys. */
let origin: string | null = null;
const browser = withBrowser(() => origin ?? service.url);

const keyed = (base: string, key: string): Wire => new Wire(base, { authorization: `Bearer ${key}` });

describe.skipIf(CHROMIUM === null)('the console, where keys are asked for,', () => {
  test('asks for one, says that it is wrong, shows what the right one may see, and forgets it', async () => {
    const wire = keyed(service.baseUrl, 'the-right-key');
    await wire.ok('POST', '/threads', { messages: [{ role: 'user', content: 'seen with a key' }] });
    const page = await browser.open('/threads');
    const key = page.getByLabel('Key', { exact: true });
    await key.waitFor();
    await page.getByText('the operator of this server has it').waitFor();
    await key.fill('a-wrong-key');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').filter({ hasText: 'Incorrect API key provided' }).waitFor();
    expect(await page.getByRole('button', { name: 'Forget key' }).count()).toBe(0);
    expect(await barriersEverywhere(page, 'key-wrong')).toStrictEqual([]);
    await key.fill('the-right-key');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('link', { name: 'seen with a key' }).waitFor();
    await page.getByRole('button', { name: 'Forget key' }).click();
    await key.waitFor();
    expect(await page.getByText('seen with a key').count()).toBe(0);
  });

  test('takes a key, a language and colours where the browser may keep nothing', async () => {
    const page = await browser.open('/threads', {});
    await page.addInitScript(
      "for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, { get() { throw new DOMException('', 'SecurityError'); } })",
    );
    await page.reload();
    await page.getByLabel('Language').selectOption('中文');
    await page.getByLabel('密钥', { exact: true }).fill('the-right-key');
    await page.getByRole('button', { name: '登录' }).click();
    await page.getByRole('link', { name: 'seen with a key' }).waitFor();
    await page.getByLabel('颜色').selectOption('深色');
    await expect.poll(() => page.locator('html').getAttribute('data-theme')).toBe('dark');
  });

  test('shows nobody the objects of another project', async () => {
    origin = await service.startApi(undefined, {
      AUTH: 'passthrough',
      API_KEY: '',
      SECRET: 'a secret for the keys of callers',
      OPENAI_BASE_URL: upstream.baseUrl,
    });
    const anns = await keyed(`${origin}/v1`, 'key-of-ann').ok('POST', '/threads', {
      messages: [{ role: 'user', content: 'what Ann said' }],
    });
    await keyed(`${origin}/v1`, 'key-of-bob').ok('POST', '/threads', {
      messages: [{ role: 'user', content: 'what Bob said' }],
    });
    const page = await browser.open('/threads');
    await page.getByText('it is a key of the model server behind this one').waitFor();
    await page.getByLabel('Key', { exact: true }).fill('key-of-bob');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('link', { name: 'what Bob said' }).waitFor();
    expect(await page.locator('.objects tbody tr').count()).toBe(1);
    await page.getByRole('searchbox', { name: 'Search' }).fill(anns.id);
    await page.keyboard.press('Enter');
    await page.getByRole('alert').filter({ hasText: 'No thread found' }).waitFor();
    expect(await page.getByText('what Ann said').count()).toBe(0);
  });

  test('lets no script of others run meanwhile', () => {
    expect(browser.complaints).toStrictEqual([]);
  });
});

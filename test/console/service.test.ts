/** The console's page about the service: figures that move while runs go on, what is wrong in plain words, and who may see it. */
import type { BrowserContextOptions, Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { gate, refuses, says } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';
import { barriersEverywhere, CHROMIUM } from './browser.ts';
import { withBrowser } from './with-browser.ts';

const ADMIN_KEY = 'the key of the operators, and a long one';
const STRANGER = 'a key of somebody else';

describe.skipIf(CHROMIUM === null)('the service in the console', () => {
  const { upstream, service } = withService({
    workers: 2,
    env: { AUTH: 'passthrough', SECRET: 'sixteen letters or more', ADMIN_KEY, UPSTREAM_RETRIES: '0' },
  });
  const browser = withBrowser(() => service.url);

  async function openAs(key: string, options?: BrowserContextOptions): Promise<Page> {
    const page = await browser.open('', options);
    await page.evaluate(`sessionStorage.setItem('longrun.key', ${JSON.stringify(key)})`);
    await page.goto(`${service.url}/console/service`);
    return page;
  }

  /** A chat of the operators, to its end. */
  async function chat(content = 'hello'): Promise<void> {
    await fetch(`${service.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_KEY}` },
      body: JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content }] }),
    }).then(async (answer) => answer.text());
  }

  const tile = (page: Page, name: string): ReturnType<Page['locator']> =>
    page.locator('.tile').filter({ has: page.getByText(name, { exact: true }) });

  test('shows what goes on while it goes on', async () => {
    const door = gate();
    upstream.reply(() => [door, ...says('well')]);
    const page = await openAs(ADMIN_KEY);
    await tile(page, 'Open runs').waitFor();
    await page.getByText('All is well').waitFor();
    await expect.poll(async () => tile(page, 'Workers').textContent()).toMatch(/2.*0 of/);
    const talk = chat();
    await door.reached;
    await expect.poll(async () => tile(page, 'Open runs').textContent(), { timeout: 8_000 }).toContain('1');
    door.open();
    await talk;
    const words = page.getByRole('img', { name: /^Wait for the first word: p50 \d/ });
    await expect.poll(async () => words.count(), { timeout: 8_000 }).toBe(1);
    // The worker says every five seconds what it has done.
    const row = page.getByRole('row', { name: /^default/ }).first();
    await expect.poll(async () => row.count(), { timeout: 15_000 }).toBe(1);
    expect(await isDrawn(page, 'Wait for the first word')).toBe(true);
    expect(await barriersEverywhere(page, 'service')).toEqual([]);
  }, 60_000);

  test('says of model servers that fail what is the matter, and shows their words as text', async () => {
    upstream.reply(() => refuses(401, '<img src=x onerror=alert(1)>'));
    const page = await openAs(ADMIN_KEY);
    await tile(page, 'Open runs').waitFor();
    await chat();
    const problems = page.getByRole('region', { name: 'Problems' });
    await expect
      .poll(async () => problems.textContent(), { timeout: 15_000 })
      .toMatch(/Model server default: 1 of \d+ requests failed.*Check the key/s);
    expect(await page.locator('main img').count()).toBe(0);
  }, 60_000);

  test('tells other keys that this is for operators, and shows what they have used', async () => {
    const page = await openAs(STRANGER);
    await page.getByRole('heading', { name: 'The service itself is for operators' }).waitFor();
    await page.getByText('Nothing was used in the last 30 days').waitFor();
    expect(await page.getByRole('heading', { name: 'Workers' }).count()).toBe(0);
    expect(await barriersEverywhere(page, 'service-stranger')).toEqual([]);
  }, 60_000);

  test('tells of a worker that was killed, and what to do when there is none', async () => {
    const page = await openAs(ADMIN_KEY, { locale: 'zh-CN' });
    await expect.poll(async () => tile(page, '工作进程').textContent()).toContain('2');
    await Promise.all([service.killWorker(0), service.killWorker(1)]);
    const problems = page.getByRole('region', { name: '问题' });
    // They are missed when they have said nothing for fifteen seconds.
    await expect
      .poll(async () => problems.textContent(), { timeout: 60_000 })
      .toMatch(/没有存活的工作进程.*工作进程 \w+ 已消失/s);
    expect(await barriersEverywhere(page, 'service-chinese')).toEqual([]);
  }, 90_000);

  test('never made the browser complain', () => {
    expect(browser.complaints).toEqual([]);
  });
});

/** Whether the canvas of a plot has lines on it: pixels in more than one colour. In the browser's own words. */
async function isDrawn(page: Page, name: string): Promise<boolean> {
  return page.evaluate<boolean>(`(() => {
    const canvas = document.querySelector('[role=img][aria-label^="${name}"] canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size > 3;
  })()`);
}

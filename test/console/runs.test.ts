/** The list of runs: live over two API processes, filtered, and quick with thousands of them. */
import type { Page } from 'playwright-core';
import { beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { finish, gate, text } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';
import { barriersEverywhere, CHROMIUM } from './browser.ts';
import { withBrowser } from './with-browser.ts';
import { copyRun } from './many-runs.ts';
import { NEXT_FRAME, scrollThrough, summary, untilStill } from './scrolling.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

describe.skipIf(CHROMIUM === null)('the list of runs', () => {
  const { service, upstream, wire } = withService({ apis: 2 });
  const browser = withBrowser(() => service.url);
  /** The API that the browser does not use. */
  const elsewhere = new Wire(() => `${service.origins.find((origin) => origin !== service.url) ?? ''}/v1`);
  let assistant_id = '';
  beforeAll(async () => {
    const body = { model: 'some-model', name: 'Weather desk' };
    assistant_id = (await wire.ok('POST', '/assistants', body)).id;
  });

  const rows = (page: Page) => page.getByRole('table', { name: 'Runs' }).locator('tr[data-row]');
  const live = (page: Page) => page.getByRole('status').getByText('Live', { exact: true });

  test('says how to make the first one, and shows it when it comes', async () => {
    const page = await browser.open('/runs');
    await page.getByText('No runs yet').waitFor();
    expect(await page.getByLabel('Command').textContent()).toContain(
      `curl ${service.url}/v1/chat/completions`,
    );
    expect(await page.getByRole('link', { name: 'playground' }).last().getAttribute('href')).toBe('/console');
    await live(page).waitFor();
    expect(await barriersEverywhere(page, 'runs-empty')).toEqual([]);

    const run = await elsewhere.play(await wire.thread('hello'), { assistant_id });
    await page.getByRole('link', { name: run.id }).waitFor();
  });

  test('changes in place while runs go on elsewhere, and leads to each of them', async () => {
    const page = await browser.open('/runs');
    await live(page).waitFor();
    const held = gate();
    upstream.reply(() => [text('So'), held, finish('stop')]);
    const run = await elsewhere.run(await wire.thread('wait for it'), { assistant_id });
    const row = rows(page).filter({ hasText: run.id });
    await row.getByText('in progress').waitFor();
    expect(await rows(page).first().textContent()).toContain(run.id);
    expect(await row.textContent()).toContain('Weather desk');
    held.open();
    await row.getByText('completed').waitFor();
    expect(await row.textContent()).toContain('15');
    expect(await barriersEverywhere(page, 'runs')).toEqual([]);
    // The whole row is the link.
    await row.getByText('some-model').click({ force: true });
    await page.getByRole('heading', { name: 'Run' }).waitFor();
    expect(new URL(page.url()).pathname).toBe(`/console/runs/${run.thread_id}/${run.id}`);
  });

  test('is filtered by what the address says', async () => {
    const chat = await wire.ask('POST', '/chat/completions', {
      body: { model: 'm', messages: [{ role: 'user', content: 'hi' }] },
    });
    expect(chat.status).toBe(200);
    const page = await browser.open('/runs');
    await page.getByText('no assistant').waitFor();
    await page.getByLabel('Assistant').selectOption('Weather desk');
    await expect.poll(async () => page.getByText('no assistant').count()).toBe(0);
    await page.getByLabel('Status').selectOption('went wrong');
    await page.getByText('No run fits these filters').waitFor();
    const query = new URL(page.url()).searchParams;
    expect([query.get('status'), query.get('assistant')]).toEqual([
      'failed,incomplete,expired',
      assistant_id,
    ]);
    await page.reload();
    await page.getByText('No run fits these filters').waitFor();

    // One that begins to fit comes in, and only that.
    await live(page).waitFor();
    upstream.reply(() => [text('cut'), finish('content_filter')]);
    const run = await elsewhere.play(await wire.thread('hello'), { assistant_id });
    expect(run.status).toBe('incomplete');
    await page.getByRole('link', { name: run.id }).waitFor();
    expect(await rows(page).count()).toBe(1);
  });

  test('connects again, and shows what it missed', async () => {
    const page = await browser.open('/runs');
    await live(page).waitFor();
    await service.killApi(service.url);
    await page.getByText('Connection lost, connecting again').waitFor();
    const run = await elsewhere.play(await elsewhere.thread('hello'), {
      assistant_id,
    });
    await service.startApi(new URL(service.url).port);
    await live(page).waitFor();
    await page.getByRole('link', { name: run.id }).waitFor();
    expect(await rows(page).first().textContent()).toContain(run.id);
  });

  test('speaks Chinese', async () => {
    const page = await browser.open('/runs', { locale: 'zh-CN' });
    await page.getByRole('heading', { name: '运行' }).waitFor();
    await page.getByText('实时', { exact: true }).waitFor();
    expect(await page.getByRole('columnheader').allTextContents()).toContain('令牌数');
  });

  test('draws few of 5,000 runs, wherever the reader is', async () => {
    const run = await wire.play(await wire.thread('copy me'), { assistant_id });
    const ref = { project: 'default', threadId: run.thread_id, runId: run.id };
    await copyRun({ redisUrl: inject('redisUrl'), prefix: service.redisPrefix }, ref, 5_000);
    const page = await browser.open('/runs');
    await live(page).waitFor();
    await rows(page).first().waitFor();
    const end = page.getByText(/^5,\d{3} runs$/);
    const scrolled = await scrollThrough(page, 3_000, async () => (await end.count()) > 0);
    console.log(`5,000 runs: ${summary(scrolled)}`);
    expect(scrolled.rows).toBeLessThan(150);
    expect(Math.max(...scrolled.changed)).toBeLessThan(5_000);
    const table = page.getByRole('table', { name: 'Runs' });
    expect(Number(await table.getAttribute('aria-rowcount'))).toBeGreaterThan(5_000);

    await page.keyboard.press('End');
    await page.getByRole('link', { name: 'run_copy005000' }).waitFor();
    await page.keyboard.press('PageUp');
    await page.keyboard.press('Home');
    await page.getByRole('link', { name: run.id }).waitFor();
    await page.keyboard.press('PageDown');
    await page.getByRole('link', { name: 'run_copy000040' }).waitFor();

    // What is being read stays where it is; what comes waits behind a button.
    await untilStill(page);
    await page.evaluate('scrollTo({ top: 1_500, behavior: "instant" })');
    await untilStill(page);
    const read = page.getByRole('link', { name: 'run_copy000040' });
    await read.waitFor();
    const before = await read.boundingBox();
    const fresh = await elsewhere.play(await wire.thread('new'), { assistant_id });
    const button = page.getByRole('button', { name: '1 new run' });
    await button.waitFor();
    expect((await read.boundingBox())?.y).toBe(before?.y);
    await button.click();
    await page.getByRole('link', { name: fresh.id }).waitFor();
    expect(await rows(page).first().textContent()).toContain(fresh.id);

    // Links are reached by Tab, further than what was drawn at first.
    await page.getByLabel('Project').focus();
    for (let count = 0; count < 100; count += 1) {
      await page.keyboard.press('Tab');
      // Nobody types faster than a browser draws; tests on a busy machine do.
      await page.evaluate(NEXT_FRAME);
    }
    const focused = await page.evaluate<string>('document.activeElement.closest("tr").textContent');
    expect(focused).toContain('run_copy0000');
  });

  test('complains of nothing', () => expect(browser.complaints).toEqual([]));
});

/** The page of one run: what went wrong in plain words, where its time went, what was said, and what can be done with it. */
import type { Page } from 'playwright-core';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { calls, finish, gate, refuses, says, text } from '../support/upstream.ts';
import type { WireRun } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';
import { barriersEverywhere, CHROMIUM } from './browser.ts';
import { withBrowser } from './with-browser.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

const HOSTILE = `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>`;
const tool = (name: string) => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties: {} } },
});

describe.skipIf(CHROMIUM === null)('the page of a run', () => {
  const { service, upstream, wire } = withService({ env: { UPSTREAM_RETRIES: '0' } });
  const browser = withBrowser(() => service.url);
  let assistant_id = '';

  beforeAll(async () => {
    const body = { model: 'some-model', name: 'Weather desk', tools: [tool('weather'), tool('clock')] };
    assistant_id = (await wire.ok('POST', '/assistants', body)).id;
  });

  const show = async ({ thread_id, id }: WireRun): Promise<Page> => browser.open(`/runs/${thread_id}/${id}`);
  const play = async (words = 'hello', more = {}): Promise<WireRun> =>
    wire.play(await wire.thread(words), { assistant_id, ...more });

  test.each([
    [401, 'Incorrect API key.', 'The model server does not accept the key.', 'refused its key (401)'],
    [500, 'Out of order.', 'Something failed on the way to an answer.', 'failed (500)'],
    [
      400,
      "This model's maximum context length is 8192 tokens, and the messages have 9000 tokens.",
      'The conversation is longer than this model can read.',
      'maximum context length is 8192 tokens',
    ],
  ])('says in plain words what a model server means by %i', async (status, said, plain, words) => {
    upstream.reply(() => refuses(status, said));
    const page = await show(await play());
    const problem = page.getByRole('region', { name: 'What went wrong' });
    await problem.getByText(plain).waitFor();
    expect(await problem.textContent()).toContain(words);
    await page.getByRole('row', { name: 'failed' }).first().waitFor();
    const found = status === 401 ? await barriersEverywhere(page, 'run-failed') : [];
    expect(found).toEqual([]);
  });

  test('shows where the time of a run with a tool went, and opens each part', async () => {
    upstream.reply(({ outputs }) =>
      outputs.length === 0 ? calls([{ name: 'clock', arguments: {} }]) : says('It is ', 'late.'),
    );
    const page = await show(await play('What time is it?', { metadata: { auto_tools: 'true' } }));
    const timeline = page.getByRole('table').filter({ hasText: 'Waits for a worker' });
    const names = timeline.getByRole('rowheader').getByRole('button');
    await names.first().waitFor();
    expect((await names.allTextContents()).map((name) => name.replace(/Worker .*/, 'Worker'))).toEqual([
      'Run',
      'Waits for a worker',
      'Worker',
      'Asks some-model',
      'Tool clock',
      'Asks some-model',
    ]);
    const tool = timeline.getByRole('row', { name: 'Tool clock' });
    expect((await tool.getByRole('cell').allTextContents()).join(' ')).toMatch(/\+[\d.]+ m?s\s+[\d.]+ m?s/);
    await tool.getByRole('button').focus();
    await page.keyboard.press('Enter');
    await timeline.getByText('gen_ai.tool.name').waitFor();
    expect(await tool.getByRole('button').getAttribute('aria-expanded')).toBe('true');
    expect(await timeline.getByText(/first word after .* · 5 tokens/).count()).toBeGreaterThan(0);
    await page.getByText('It is late.').first().waitFor();
    await page.getByText('2 fragments').last().waitFor();
    await page.getByLabel('Kind').selectOption('the run');
    await expect.poll(async () => page.getByText('thread.message.delta').count()).toBe(0);
    expect(await barriersEverywhere(page, 'run-tool')).toEqual([]);
  });

  test('follows a run that waits for its client, and shows hostile outputs as text', async () => {
    upstream.reply(({ outputs }) =>
      outputs.length === 0 ? calls([{ name: 'weather', arguments: { city: HOSTILE } }]) : says(HOSTILE),
    );
    const run = await play(HOSTILE);
    const page = await show(run);
    await page.getByText('It waits for its client to answer: weather.').waitFor();
    const waiting = page.getByRole('row', { name: 'Waits for the client' });
    await waiting.getByText('so far').waitFor();
    expect(await barriersEverywhere(page, 'run-waits')).toEqual([]);

    await wire.submit(run, HOSTILE);
    await page.getByRole('status').getByText('completed').waitFor();
    await page.getByLabel('Output of weather').getByText(HOSTILE).waitFor();
    await expect.poll(async () => waiting.getByText('so far').count()).toBe(0);
    expect(await page.locator('img, main script').count()).toBe(0);
    expect(await page.title()).toBe('Run · Longrun');
  });

  test('cancels a run, and runs it again', async () => {
    const held = gate();
    upstream.reply(() => [text('So '), held, finish('stop')]);
    const run = await wire.run(await wire.thread('wait'), { assistant_id });
    const page = await show(run);
    await page.getByText('1 fragment').waitFor();
    await page.getByRole('button', { name: 'Cancel', exact: true }).click();
    await page.getByRole('button', { name: 'Cancel the run' }).click();
    await page.getByRole('status').getByText('cancelled').waitFor();
    held.open();

    upstream.reply(() => says('Now it is said.'));
    await page.getByRole('button', { name: 'Run again' }).click();
    await page.getByText('A new run of the same assistant').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Run again' }).click();
    await page.getByText('Now it is said.').first().waitFor();
    await page.getByRole('status').getByText('completed').waitFor();
    expect(page.url()).not.toContain(run.id);
    expect(page.url()).toContain(run.thread_id);
    const playground = page.getByRole('link', { name: 'Open in playground' });
    expect(await playground.getAttribute('href')).toBe(`/console?thread=${run.thread_id}`);
  });

  test('says that a run is not there', async () => {
    const page = await browser.open(`/runs/${await wire.thread()}/run_none`);
    await page.getByRole('heading', { name: 'There is no such run here' }).waitFor();
    expect(await barriersEverywhere(page, 'run-gone')).toEqual([]);
  });

  test('shows a chat without a thread, in Chinese', async () => {
    upstream.reply(() => says('你好！'));
    const body = { model: 'm', messages: [{ role: 'user', content: '你好' }] };
    expect((await wire.ask('POST', '/chat/completions', { body })).status).toBe(200);
    const page = await browser.open('/runs', { locale: 'zh-CN' });
    await page.getByRole('link', { name: '无助手' }).click();
    await page.getByText('此运行来自没有会话的聊天').waitFor();
    await page.getByRole('status').getByText('已完成').waitFor();
    expect(await page.getByRole('button', { name: '再次运行' }).count()).toBe(0);
  });

  test('complains of nothing', () => expect(browser.complaints).toEqual([]));
});

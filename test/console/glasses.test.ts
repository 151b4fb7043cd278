/** The console's glasses: a device that asks, is asked for a photo, and says the answer, as real ones do. */
import OpenAI from 'openai';
import type { Page } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { calls, gate, refuses, says, text } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';
import { barriers, barriersEverywhere, CHROMIUM } from './browser.ts';
import { withBrowser } from './with-browser.ts';

const APOLOGY = 'Sorry, please try again later.';
/** One red pixel. */
const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==',
  'base64',
);

describe.skipIf(CHROMIUM === null)('the glasses of the console', () => {
  const { upstream, service } = withService({ env: { APOLOGY, UPSTREAM_RETRIES: '0' } });
  const browser = withBrowser(() => service.url);
  let openai: OpenAI;

  beforeAll(async () => {
    openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none' });
    await openai.beta.assistants.create({ name: 'host', model: 'fake-model' });
  });

  async function ask(page: Page, question: string): Promise<void> {
    await page.getByRole('textbox', { name: 'Say to the glasses' }).fill(question);
    await page.getByRole('button', { name: 'Ask' }).click();
  }

  /** A model that wants to see what it is asked about. */
  function looksFirst(): void {
    upstream.reply(({ body }) =>
      JSON.stringify(body.messages).includes('data:image/jpeg')
        ? says('It is ', 'a fern.')
        : calls([{ name: 'take_a_photo', arguments: {} }]),
    );
  }

  test('ask, show the picture that the assistant wants to see, and say the answer', async () => {
    looksFirst();
    const page = await browser.open('/glasses');
    await expect.poll(async () => page.getByLabel('Whom it asks').inputValue()).toBe('host');
    await ask(page, 'What plant is this?');
    await page.getByText('What does the camera see?').waitFor();
    expect(await barriersEverywhere(page, 'glasses-camera')).toEqual([]);
    await page
      .getByLabel('Choose a picture')
      .setInputFiles({ name: 'fern.png', mimeType: 'image/png', buffer: PICTURE });
    await page.getByRole('status').getByText('It is a fern.').waitFor({ state: 'attached' });
    await page.getByRole('img', { name: 'The photo that was sent' }).waitFor();
    // The server has brought question and photo together.
    expect(upstream.requests.at(-1)?.history).toEqual([
      'user What plant is this?',
      expect.any(String),
      expect.any(String),
      expect.any(String),
    ]);
    await page.getByText('What goes over the wire (2)').click();
    await page.getByText('"take_a_photo"').first().waitFor();
    await expect.poll(async () => page.getByLabel('Answer 2').textContent()).toContain('data: [DONE]');
    expect(await page.getByLabel('Request 2', { exact: true }).textContent()).toContain(
      'POST /custom_agent/chat?device=glasses-',
    );
    expect(await barriersEverywhere(page, 'glasses-answered')).toEqual([]);
  });

  test('take the photo by a webcam, which is opened by a click only', async () => {
    looksFirst();
    const page = await browser.open('/glasses', { permissions: ['camera'] });
    await ask(page, 'And this?');
    await page.getByRole('button', { name: 'Use the webcam' }).click();
    const video = page.getByLabel('What the camera sees');
    await expect
      .poll(async () => page.evaluate<number>("document.querySelector('video').videoWidth"))
      .toBeGreaterThan(0);
    await page.getByRole('button', { name: 'Take the photo' }).click();
    await page.getByRole('status').getByText('It is a fern.').waitFor({ state: 'attached' });
    expect(await video.count()).toBe(0);
  });

  test('say that something failed in the words for devices', async () => {
    upstream.reply(() => refuses(500, 'no'));
    const page = await browser.open('/glasses');
    await page.getByLabel('Keep the conversation').check();
    await ask(page, 'What plant is this?');
    await page.getByRole('status').getByText(APOLOGY).waitFor({ state: 'attached' });
    // In a thread, the run can be found, and says what the device does not.
    await page.getByText('What the device does not say').waitFor();
    const link = page.getByRole('link', { name: 'The run behind it' });
    expect(await link.getAttribute('href')).toMatch(/^\/console\/runs\/thread_\w+\/run_\w+$/);
    expect(await barriersEverywhere(page, 'glasses-failed')).toEqual([]);
  });

  test('hang up, which ends the run', async () => {
    const silence = gate();
    upstream.reply(() => [text('It is '), silence, ...says('over')]);
    const page = await browser.open('/glasses');
    await ask(page, 'A long story, please.');
    await page.getByText('It is', { exact: true }).waitFor();
    const asked = upstream.requests.at(-1);
    await page.getByRole('button', { name: 'Hang up' }).click();
    await page.getByText('You hung up.').waitFor();
    expect(await asked?.closed).toMatchObject({ by: 'client' });
    await service.waitForLog(({ event }) => event === 'run.cancelled');
    silence.open();
  });

  test('show what a model says as text, whatever it is', async () => {
    const hostile = '<img src=x onerror="alert(1)"><script>alert(2)</script>[x](javascript:alert(3))';
    upstream.reply(() => says(hostile));
    const page = await browser.open('/glasses');
    await ask(page, '<b>bold</b>');
    await page.getByText(hostile).first().waitFor();
    await page.getByText('<b>bold</b>').first().waitFor();
    expect(await page.locator('main img, main script, main b').count()).toBe(0);
  });

  test('say in their app what the server refuses', async () => {
    const page = await browser.open('/glasses');
    await page.route('**/custom_agent/**', async (route) =>
      route.fulfill({ status: 413, json: { error: { message: 'The picture is too large.' } } }),
    );
    await ask(page, 'And this?');
    const alert = page.getByRole('alert');
    await expect.poll(async () => alert.textContent()).toContain('The picture is too large.');
  });

  test('speak Chinese', async () => {
    looksFirst();
    const page = await browser.open('/glasses', { locale: 'zh-CN' });
    await page.getByRole('textbox', { name: '对眼镜说' }).fill('这是什么植物？');
    await page.getByRole('button', { name: '提问' }).click();
    await page.getByText('助手想看一看').waitFor();
    expect(await barriers(page)).toEqual([]);
  });

  test('never made the browser complain', () => {
    expect(browser.complaints).toEqual([]);
  });
});

/** The playground: conversations that stream, wait for the reader, fail, break off and go on. */
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { demoReply } from '../../src/model/demo-script.ts';
import { calls, finish, gate, refuses, says, text, type Step } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';
import { barriersEverywhere, CHROMIUM } from './browser.ts';
import { withBrowser } from './with-browser.ts';

const { service, upstream, wire } = withService();
const browser = withBrowser(() => service.url);

const field = (page: Page) => page.getByRole('textbox', { name: 'Message' });
const status = (page: Page) => page.locator('.run-line .status').last();
const answers = (page: Page) => page.getByRole('article', { name: 'Assistant' });

const thinks = (reasoning_content: string): Step => ({
  type: 'chunk',
  delta: { reasoning_content },
  finish: null,
});
const FUNCTION = {
  type: 'function',
  function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
};

async function ask(page: Page, words: string): Promise<void> {
  await field(page).fill(words);
  await field(page).press('Enter');
}

/** A page with an assistant of its own. */
async function opened(assistant: object = {}): Promise<Page> {
  const { id } = await wire.ok('POST', '/assistants', { model: 'm', name: 'Test', ...assistant });
  const page = await browser.open(`?assistant=${id}`);
  await page.getByText('Write a message to begin').waitFor();
  return page;
}

describe.skipIf(CHROMIUM === null)('the playground', () => {
  test('makes an assistant for those who are here for the first time, and answers them', async () => {
    upstream.reply(({ body }) => {
      const reply = demoReply({ messages: body.messages });
      const isAsked = body.messages.at(-1)?.role !== 'tool';
      if (isAsked) return calls([{ name: 'clock', arguments: { timezone: 'Asia/Tokyo' } }]);
      return 'content' in reply ? says(reply.content) : [];
    });
    const page = await browser.open('');
    await page.getByText('Ask something: that makes a demo assistant').waitFor();
    expect(await barriersEverywhere(page, 'playground-first')).toEqual([]);
    await page.getByRole('button', { name: 'What time is it in Tokyo?' }).click();
    await answers(page).getByText('I am Longrun').waitFor();
    await expect.poll(() => status(page).textContent()).toBe('completed');
    await page.getByText('clock answered').click();
    await page.getByLabel('Output of clock').getByText('Asia/Tokyo').waitFor();
    await page.getByText('tokens').waitFor();
    expect(await page.locator('.run-line').textContent()).toMatch(/(?:< 1|\d+) s(?!\w)/);
    await expect
      .poll(() => page.getByRole('combobox', { name: 'Assistant' }).textContent())
      .toContain('Demo');
    expect(await barriersEverywhere(page, 'playground-answered')).toEqual([]);

    const { data } = { data: await wire.list('/assistants') };
    expect(data).toMatchObject([
      { name: 'Demo', metadata: { auto_tools: 'clock,take_a_photo', console_demo: 'true' } },
    ]);
    const thread = new URL(page.url()).searchParams.get('thread') ?? '';
    const [run] = await wire.list(`/threads/${thread}/runs`);
    await page.getByRole('link', { name: 'Run', exact: true }).click();
    expect(new URL(page.url()).pathname).toBe(`/console/runs/${thread}/${run?.id}`);
  });

  test('shows what comes as it comes: thoughts folded, words, and calls with what they say', async () => {
    const [thinking, speaking, calling] = [gate(), gate(), gate()];
    upstream.reply(({ outputs }) =>
      outputs.length > 0
        ? says('It is **noon**.')
        : [
            thinks('Which time '),
            thinks('do they mean?'),
            thinking,
            text('Let me '),
            speaking,
            text('look.'),
            ...calls([{ name: 'clock', arguments: { timezone: 'Europe/Lisbon' } }]).slice(0, 3),
            calling,
            finish('stop'),
          ],
    );
    const page = await opened({ metadata: { auto_tools: 'clock' } });
    await ask(page, 'What time is it?');
    const thoughts = page.locator('details.thoughts');
    await thoughts.waitFor();
    expect(await page.getByText('do they mean?').isVisible()).toBe(false);
    await thoughts.locator('summary').press('Enter');
    await page.getByText('Which time do they mean?').waitFor();
    thinking.open();
    await answers(page).getByText('Let me').waitFor();
    expect(await status(page).textContent()).toBe('in progress');
    speaking.open();
    await answers(page).getByText('Let me look.').waitFor();
    await page.getByText('clock is being made …').click();
    await page.getByLabel('Arguments of clock').getByText('{"tim').waitFor();
    upstream.requests.length = 0;
    const cancelled = page.waitForResponse('**/cancel');
    await page.getByRole('button', { name: 'Cancel the run' }).click();
    await cancelled;
    calling.open();
    await expect.poll(() => status(page).textContent()).toBe('cancelled');
    // What was said stays.
    await answers(page).getByText('Let me look.').waitFor();
  });

  test('asks for the outputs that a run waits for', async () => {
    upstream.reply(({ outputs }) =>
      outputs.length > 0
        ? says(`The tool said ${outputs.join(' and ')}`)
        : calls([
            { name: 'get_weather', arguments: { city: 'Lisbon' } },
            { name: 'get_weather', arguments: { city: 'Porto' } },
          ]),
    );
    const page = await opened({ tools: [FUNCTION] });
    await ask(page, 'Where is it warm?');
    const form = page.getByRole('form', { name: 'Outputs' });
    await form.waitFor();
    expect(await barriersEverywhere(page, 'playground-outputs')).toEqual([]);
    const fields = form.getByRole('textbox', { name: 'Output of get_weather' });
    expect(await fields.count()).toBe(2);
    expect(JSON.parse(await fields.first().inputValue())).toMatchObject({
      city: 'Lisbon',
      temperature_c: 21,
    });
    // What is proposed is selected, so that the reader only has to write.
    await form.locator('textarea:focus').first().waitFor();
    await page.keyboard.type('{"warm"');
    await form.getByRole('button', { name: 'Send outputs' }).click();
    await page.getByText('The output of get_weather is no whole JSON').waitFor();
    await fields.first().fill('warm');
    await fields.last().fill('{"rain": true}');
    // By keyboard alone.
    await fields.last().press('Tab');
    await page.keyboard.press('Enter');
    await answers(page).getByText('The tool said warm and {"rain": true}').waitFor();
    await form.waitFor({ state: 'detached' });
    await page.locator('#composer-text:focus').waitFor();
  });

  test.each([
    ['Approve', 'Done: {"timezone":', 'clock answered'],
    ['Refuse', 'Not this late.', 'clock refused'],
  ])('asks before a call, and is answered: %s', async (button, said, told) => {
    upstream.reply(({ outputs }) =>
      outputs.length > 0 ? says(`Done: ${outputs.join()}`) : calls([{ name: 'clock', arguments: {} }]),
    );
    const page = await opened({ metadata: { auto_tools: 'clock', approve: 'clock' } });
    const wide = page.viewportSize();
    await page.setViewportSize({ width: 375, height: 667 });
    await ask(page, 'What time is it?');
    await page.getByRole('heading', { name: 'May clock be called?' }).waitFor();
    // On a phone, nothing covers what is to be decided.
    const isSeen = `(() => {
      const button = document.querySelector('.answers .primary');
      const { x, y } = button.getBoundingClientRect();
      return button.contains(document.elementFromPoint(x + 5, y + 5));
    })()`;
    await expect.poll(() => page.evaluate(isSeen)).toBe(true);
    if (wide !== null) await page.setViewportSize(wide);
    expect(await barriersEverywhere(page, 'playground-approval')).toEqual([]);
    await page.locator('h2:focus').waitFor();
    await page.getByLabel('Reason').fill('Not this late.');
    await page.getByRole('button', { name: button }).click();
    await answers(page).getByText(said).waitFor();
    await page.locator('#composer-text:focus').waitFor();
    // One call is told once, live and later.
    await expect.poll(() => page.locator('details.call summary').allTextContents()).toEqual([told]);
    await page.reload();
    await answers(page).getByText(said).waitFor();
    await expect.poll(() => page.locator('details.call summary').allTextContents()).toEqual([told]);
  });

  test('says in plain words why a run failed, and what to do', async () => {
    upstream.reply(() => refuses(401, 'Incorrect API key'));
    const page = await opened();
    await ask(page, 'Hello');
    const problem = page.getByRole('alert');
    await problem.getByText('The model server does not accept the key.').waitFor();
    expect(await problem.textContent()).toContain('OPENAI_API_KEY');
    expect(await problem.count()).toBe(1);
    await problem.getByRole('button', { name: 'Run again' }).waitFor();
    expect(await barriersEverywhere(page, 'playground-failed')).toEqual([]);
    upstream.reply(() => says('Here I am.'));
    await ask(page, 'Hello again');
    await answers(page).getByText('Here I am.').waitFor();
  });

  test('takes in what is said to a run under way', async () => {
    const door = gate();
    upstream.reply(({ text: said }) =>
      said === 'Go' ? [text('One'), door, ...says(', two.')] : says(`Heard: ${said}`),
    );
    const page = await opened();
    await ask(page, 'Go');
    await answers(page).getByText('One').waitFor();
    await ask(page, 'And in French?');
    await expect.poll(() => field(page).inputValue()).toBe('');
    door.open();
    await answers(page).getByText('Heard: And in French?').waitFor();
    expect(await page.getByRole('article').allTextContents()).toEqual(
      ['Go', 'One, two.', 'And in French?', 'Heard: And in French?'].map(
        (words) => expect.stringContaining(words) as unknown,
      ),
    );
  });

  test('goes on with a stream after the API has crashed, and after the page was loaded anew', async () => {
    const [first, second] = [gate(), gate()];
    upstream.reply(() => [text('Before, '), first, text('between, '), second, ...says('behind.')]);
    const page = await opened();
    await ask(page, 'Count');
    await answers(page).getByText('Before,').waitFor();
    await service.crashApi(service.url);
    first.open();
    await answers(page).getByText('Before, between,').waitFor();
    await page.reload();
    await answers(page).getByText('Before, between,').waitFor();
    second.open();
    await answers(page).getByText('Before, between, behind.').waitFor();
    await expect.poll(() => status(page).textContent()).toBe('completed');
    expect(await answers(page).count()).toBe(1);
  });

  test('shows the end of a long thread, and what was before on demand', async () => {
    const texts = Array.from({ length: 90 }, (_, index) => `number ${index}.`);
    const id = await wire.thread(...texts);
    const page = await browser.open(`?thread=${id}`);
    await page.getByText('number 89.').waitFor();
    expect(await page.getByRole('article').count()).toBe(40);
    await page.getByRole('button', { name: 'Earlier messages' }).click();
    await page.getByText('number 10.').waitFor();
    await page.getByRole('button', { name: 'Earlier messages' }).click();
    await page.getByText('number 0.').waitFor();
    expect(await page.getByRole('article').allTextContents()).toEqual(
      texts.map((words) => expect.stringContaining(words) as unknown),
    );
  });

  test('begins a new line with Shift+Enter, and a new conversation on demand', async () => {
    upstream.reply(({ text: said }) => says(`Heard ${said.split('\n').length} lines`));
    const page = await opened();
    await field(page).focus();
    await page.keyboard.type('one');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('two');
    await page.keyboard.press('Enter');
    await answers(page).getByText('Heard 2 lines').waitFor();
    await page.getByRole('button', { name: 'New conversation' }).click();
    await page.getByText('Write a message to begin').waitFor();
    expect(page.url()).not.toContain('thread');
    await page.locator('#composer-text:focus').waitFor();
  });

  test('speaks Chinese, and leaves Enter to the composition of characters', async () => {
    upstream.reply(({ text: said }) => says(`收到：${said}`));
    const { id } = await wire.ok('POST', '/assistants', { model: 'm', name: '测试' });
    const page = await browser.open(`?assistant=${id}`, { locale: 'zh-CN' });
    const message = page.getByRole('textbox', { name: '消息' });
    await message.fill('你好');
    await message.dispatchEvent('keydown', { key: 'Enter', isComposing: true });
    expect(await message.inputValue()).toBe('你好');
    await message.press('Enter');
    await page.getByRole('article', { name: '助手' }).getByText('收到：你好').waitFor();
    await page.getByText('已完成').first().waitFor();
    expect(await barriersEverywhere(page, 'playground-chinese')).toEqual([]);
  });

  test('has no errors in its scripts, and does nothing that its policy forbids', () => {
    expect(browser.complaints).toEqual([]);
  });
});

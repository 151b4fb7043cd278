/** The console's pages of threads and assistants: what is done there is done in the API, and what is in the API is shown as text. */
import OpenAI from 'openai';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { withService } from '../support/with-service.ts';
import { barriersEverywhere, CHROMIUM } from './browser.ts';
import { withBrowser } from './with-browser.ts';

const { service, wire } = withService();
const browser = withBrowser(() => service.url);
const client = (): OpenAI => new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });

const HOSTILE = '<img src=x onerror="document.title=1"> "quoted" {{x}} \u202Eabc';

async function newThread(text: string, metadata: Record<string, string> = {}): Promise<string> {
  const messages = [{ role: 'user' as const, content: text }];
  return (await client().beta.threads.create({ messages, metadata })).id;
}

/** The rows of a list, without its heading. */
const rows = (page: Page) => page.locator('.objects tbody tr:not(.space)');

describe.skipIf(CHROMIUM === null)('the console', () => {
  test('says of empty lists what to do', async () => {
    const page = await browser.open('/threads');
    await page.getByText('No threads yet.').waitFor();
    expect(await barriersEverywhere(page, 'threads-empty')).toStrictEqual([]);
    await page.getByRole('link', { name: 'Assistants' }).click();
    await page.getByText('No assistants yet.').waitFor();
  });

  test('lists threads by what they begin with, finds some, and deletes several after a question', async () => {
    const ids = await Promise.all(
      ['first', 'second', 'third'].map((word) => newThread(`the ${word} one`, { word })),
    );
    await newThread(HOSTILE);
    const page = await browser.open('/threads');
    await page.getByRole('link', { name: 'the second one' }).waitFor();
    await page.getByRole('link', { name: '<img src=x' }).waitFor();
    expect(await barriersEverywhere(page, 'threads')).toStrictEqual([]);

    await page.getByLabel('Search').fill('second');
    await expect.poll(() => rows(page).count()).toBe(1);
    await page.getByText('1 of 4 found. Searched: the beginning of first messages').waitFor();
    await page.getByLabel('Search').fill('');
    await page.getByLabel('Order').selectOption('Oldest first');
    await expect.poll(async () => rows(page).last().textContent()).toContain('<img src=x');
    await page.getByLabel('Order').selectOption('Newest first');
    await expect.poll(async () => rows(page).first().textContent()).toContain('<img src=x');
    // The API finds by metadata, also what is not loaded.
    await page.getByLabel('Metadata name').fill('word');
    await page.getByLabel('Value').fill('third');
    await page.getByRole('button', { name: 'Find' }).click();
    await expect.poll(() => rows(page).count()).toBe(1);
    expect(page.url()).toContain('metadata%5Bword%5D=third');
    await page.getByRole('button', { name: 'Only word = third' }).click();
    await expect.poll(() => rows(page).count()).toBe(4);

    for (const id of ids.slice(0, 2)) await page.getByRole('checkbox', { name: `Choose ${id}` }).check();
    await page.getByRole('button', { name: 'Delete (2)' }).click();
    await page.getByText('Delete these 2 threads?').waitFor();
    expect(await barriersEverywhere(page, 'threads-question')).toStrictEqual([]);
    await page.getByRole('button', { name: 'Keep' }).click();
    await expect.poll(() => rows(page).count()).toBe(4);
    // Somebody else is faster with one of them.
    await wire.ok('DELETE', `/threads/${ids[0]}`);
    await page.getByRole('button', { name: 'Delete (2)' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByText('Deleted: 1. Somebody had already deleted 1.').waitFor();
    await expect.poll(() => rows(page).count()).toBe(2);
    expect((await wire.ask('GET', `/threads/${ids[1]}`)).status).toBe(404);
    expect((await wire.ask('GET', `/threads/${ids[2]}`)).status).toBe(200);
  });

  test('shows a conversation with its runs, and changes, adds to and deletes what is in it', async () => {
    const assistant = await client().beta.assistants.create({ model: 'fake-model', name: 'reader' });
    const picture = 'https://example.com/cat.png';
    const thread = await client().beta.threads.create({
      messages: [
        { role: 'user', content: `**not bold** ${HOSTILE}` },
        { role: 'user', content: [{ type: 'image_url', image_url: { url: picture } }] },
        { role: 'assistant', content: '# Heading\n\n**bold** <script>document.title=2</script>' },
        { role: 'user', content: 'go on' },
      ],
    });
    const run = await client().beta.threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });
    const page = await browser.open(`/threads/${thread.id}`);
    await page.getByText('You said: go on').waitFor();
    expect(await page.getByRole('link', { name: run.id }).getAttribute('href')).toBe(
      `/console/runs/${thread.id}/${run.id}`,
    );
    await page.getByText(`**not bold** ${HOSTILE.slice(0, 12)}`).waitFor();
    await page.locator('strong', { hasText: 'bold' }).waitFor();
    await page.getByText('<script>document.title=2</script>').waitFor();
    // A picture from elsewhere is a link, and loaded by nobody.
    await page.getByRole('link', { name: picture }).waitFor();
    expect(await page.locator('main img').count()).toBe(0);
    expect(await page.getByRole('link', { name: 'Open in playground' }).getAttribute('href')).toBe(
      `/console?thread=${thread.id}`,
    );
    expect(await barriersEverywhere(page, 'thread')).toStrictEqual([]);

    await page.getByRole('textbox', { name: 'Text' }).fill('one more');
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    const added = page.getByRole('article').filter({ hasText: 'one more' });
    await added.waitFor();
    await added.getByRole('button', { name: 'Metadata' }).click();
    await page.getByLabel('Name 1').fill('mood');
    await page.getByLabel('Value 1').fill(HOSTILE);
    expect(await barriersEverywhere(page, 'metadata')).toStrictEqual([]);
    await page.getByRole('button', { name: 'Save' }).click();
    await added.getByText('mood: <img').waitFor();
    const [newest] = (await client().beta.threads.messages.list(thread.id)).data;
    expect(newest).toMatchObject({ role: 'user', metadata: { mood: HOSTILE } });

    await added.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await expect.poll(() => added.count()).toBe(0);
    expect((await client().beta.threads.messages.list(thread.id)).data).toHaveLength(5);

    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download as JSON' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe(`${thread.id}.json`);

    await page.getByRole('button', { name: 'Delete thread' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('heading', { name: 'Threads', level: 1 }).waitFor();
    expect((await wire.ask('GET', `/threads/${thread.id}`)).status).toBe(404);
    await page.goBack();
    await page.getByRole('alert').filter({ hasText: 'No thread found' }).waitFor();
  });

  test('does not overwrite what somebody else has changed meanwhile', async () => {
    const id = await newThread('changed by two', { owner: 'one' });
    const page = await browser.open(`/threads/${id}`);
    await page.getByRole('button', { name: 'Edit metadata' }).click();
    await page.getByLabel('Value 1').fill('two');
    await wire.ok('POST', `/threads/${id}`, { metadata: { owner: 'three' } });
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('alert').filter({ hasText: 'It is now: owner: three' }).waitFor();
    expect(await wire.ok('GET', `/threads/${id}`)).toMatchObject({ metadata: { owner: 'three' } });
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Saved.').waitFor();
    expect(await wire.ok('GET', `/threads/${id}`)).toMatchObject({ metadata: { owner: 'two' } });
  });

  test('edits by the keyboard alone, and gives the focus back', async () => {
    const id = await newThread('by keyboard');
    const page = await browser.open(`/threads/${id}`);
    const edit = page.getByRole('button', { name: 'Edit metadata' });
    await edit.waitFor();
    const tabTo = async (name: string): Promise<void> => {
      for (let presses = 0; presses < 60; presses += 1) {
        await page.keyboard.press('Tab');
        const label = await page.evaluate<string>(
          "document.activeElement?.getAttribute('aria-label') || document.activeElement?.textContent?.trim() || ''",
        );
        if (label === name) return;
      }
      throw new Error(`the keyboard does not come to '${name}'`);
    };
    await tabTo('Edit metadata');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await tabTo('Name 1');
    await page.keyboard.type('by');
    await tabTo('Value 1');
    await page.keyboard.type('keys');
    await page.keyboard.press('Enter');
    await page.getByText('Saved.').waitFor();
    expect(await wire.ok('GET', `/threads/${id}`)).toMatchObject({ metadata: { by: 'keys' } });
    await expect
      .poll(async () => page.evaluate('document.activeElement?.textContent?.trim()'))
      .toBe('Edit metadata');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await expect.poll(() => page.getByRole('dialog').count()).toBe(0);
  });

  test('makes, shows, changes, copies and deletes assistants', async () => {
    const page = await browser.open('/assistants');
    await page.getByRole('button', { name: 'New assistant' }).click();
    await page.getByRole('dialog').getByLabel('Name').first().fill(`tea ${HOSTILE}`);
    await page.getByRole('dialog').getByLabel('Model').first().fill('fake-model');
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: `tea <img src=x`, level: 1 }).waitFor();
    const [made] = (await client().beta.assistants.list()).data;
    expect(made).toMatchObject({ name: `tea ${HOSTILE}`, model: 'fake-model' });
    expect(await page.getByRole('link', { name: 'Try it' }).getAttribute('href')).toBe(
      `/console?assistant=${made?.id}`,
    );
    await client().beta.assistants.update(made?.id ?? '', {
      instructions: 'Be short.',
      tools: [{ type: 'function', function: { name: 'clock', parameters: { type: 'object' } } }],
      metadata: { auto_tools: 'SEARCH' },
    });
    await page.reload();
    await page.getByText('Be short.').waitFor();
    await page.getByRole('listitem').filter({ hasText: 'SEARCH answered by the server' }).waitFor();
    expect(await barriersEverywhere(page, 'assistant')).toStrictEqual([]);
    await page.getByRole('button', { name: 'Duplicate' }).click();
    await page.getByText('This is the copy.').waitFor();
    const [copy] = (await client().beta.assistants.list()).data;
    expect(copy).toMatchObject({
      name: `tea ${HOSTILE} (copy)`,
      instructions: 'Be short.',
      tools: made?.tools.length === 0 ? [{ type: 'function' }] : [],
    });
    await page.getByRole('link', { name: '← Assistants' }).click();
    await page.getByRole('link', { name: '(copy)' }).waitFor();
    await page.getByText('clock, SEARCH (server)').first().waitFor();
    expect(await barriersEverywhere(page, 'assistants')).toStrictEqual([]);
    await page.getByRole('link', { name: '(copy)' }).click();
    await page.getByRole('button', { name: 'Delete assistant' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('heading', { name: 'Assistants', level: 1 }).waitFor();
    expect((await wire.ask('GET', `/assistants/${copy?.id}`)).status).toBe(404);
  });

  test('speaks Chinese', async () => {
    const page = await browser.open('/threads', { locale: 'zh-CN' });
    await page.getByRole('heading', { name: '会话', level: 1 }).waitFor();
    await page.getByRole('button', { name: '刷新' }).waitFor();
    expect(await barriersEverywhere(page, 'threads-zh')).toStrictEqual([]);
  });

  test('draws only rows that are to be seen, of a thousand threads', async () => {
    for (let made = 0; made < 1_000; made += 50)
      await Promise.all(
        Array.from({ length: 50 }, async (_, n) => newThread(`number ${made + n}`, { many: 'yes' })),
      );
    const page = await browser.open('/threads?metadata%5Bmany%5D=yes');
    await page.getByText('100 loaded; there are more.').waitFor();
    await page.getByRole('button', { name: 'Load all' }).click();
    await page.getByText('1,000 in all.').waitFor();
    expect(await rows(page).count()).toBeLessThan(100);
    await page.evaluate("document.querySelector('.objects').scrollTo(0, 1e6)");
    await page.locator('tr[aria-rowindex="1001"]').waitFor();
    expect(await rows(page).count()).toBeLessThan(100);
    // The words of rows that were never drawn are found, too.
    await page.getByLabel('Search').fill('number 512');
    await page.getByText('1 of 1,000 found.').waitFor();
    await page.getByRole('link', { name: 'number 512' }).waitFor();
  });

  test('lets no script of others run meanwhile', () => {
    expect(browser.complaints).toStrictEqual([]);
  });
});

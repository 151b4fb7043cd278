/** The console's pages of files and vector stores. */
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI, { toFile } from 'openai';
import type { Page } from 'playwright-core';
import { afterAll, describe, expect, test } from 'vitest';
import { calls, says } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';
import { barriersEverywhere, CHROMIUM } from './browser.ts';
import { withBrowser } from './with-browser.ts';

const { service, upstream, wire } = withService();
const browser = withBrowser(() => service.url);
const client = (): OpenAI => new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
const folder = mkdtempSync(join(tmpdir(), 'console-files-'));

const HOSTILE_NAME = '<img src=x onerror=alert(1)>.md';
const SHIPS = '# Ships\n\nThe Vasa sank in 1628. <script>document.title=1</script>';
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

const rows = (page: Page) => page.locator('.objects tbody tr');
const confirm = async (page: Page, words: string): Promise<void> =>
  page.getByRole('dialog').getByRole('button', { name: words }).click();

async function upload(content: string | Buffer, name: string): Promise<string> {
  const file = await toFile(Buffer.from(content), name);
  return (await client().files.create({ file, purpose: 'assistants' })).id;
}

describe.skipIf(CHROMIUM === null)('the console', () => {
  afterAll(async () => {
    rmSync(folder, { recursive: true });
  });

  test('uploads files, several and dropped ones, and says which cannot be taken', async () => {
    const page = await browser.open('/files');
    await page.getByText('No files yet.').waitFor();
    expect(await barriersEverywhere(page, 'files-empty')).toStrictEqual([]);
    const paths = { a: 'first text', b: 'second text', empty: '' };
    for (const [name, text] of Object.entries(paths)) writeFileSync(join(folder, `${name}.txt`), text);
    await page.getByRole('combobox', { name: 'Purpose', exact: true }).selectOption('user_data');
    await page
      .getByLabel('Upload files')
      .setInputFiles(Object.keys(paths).map((name) => join(folder, `${name}.txt`)));
    await page.getByText('2 of 3 uploaded. 1 failed.').waitFor();
    await page.getByText('empty.txt: ').waitFor();
    await page.getByRole('combobox', { name: 'Purpose', exact: true }).selectOption('assistants');
    const dropped = await page.evaluateHandle<DataTransferLike>(
      `(() => { const all = new DataTransfer(); all.items.add(new File(['dropped'], ${JSON.stringify(HOSTILE_NAME)})); return all; })()`,
    );
    await page.locator('.drop').dispatchEvent('drop', { dataTransfer: dropped });
    await page.getByText('3 of 4 uploaded.').waitFor();
    expect(await barriersEverywhere(page, 'files')).toStrictEqual([]);
    const { data } = await client().files.list();
    expect(data.map(({ filename, purpose }) => `${purpose} ${filename}`).toSorted()).toStrictEqual([
      `assistants ${HOSTILE_NAME}`,
      'user_data a.txt',
      'user_data b.txt',
    ]);
    await page.getByRole('combobox', { name: 'With purpose' }).selectOption('user_data');
    await expect.poll(() => rows(page).count()).toBe(2);
    await page.getByLabel('Search').fill('b.txt');
    await expect.poll(() => rows(page).count()).toBe(1);
    await page.getByRole('checkbox', { name: 'Choose all that are shown' }).check();
    await page.getByRole('button', { name: 'Delete (1)' }).click();
    await confirm(page, 'Delete');
    await page.getByText('Deleted: 1.').waitFor();
    expect((await client().files.list()).data).toHaveLength(2);
  });

  test('shows what is in a file as text or as a picture, gives it out, and deletes it', async () => {
    const [text, picture, other] = await Promise.all([
      upload(SHIPS, HOSTILE_NAME),
      upload(PIXEL, 'a.txt'),
      upload(Buffer.from([0, 1, 2, 255]), 'picture.png'),
    ]);
    const store = await client().vectorStores.create({ name: 'ships', file_ids: [text] });
    const page = await browser.open(`/files/${text}`);
    await page.getByText('<script>document.title=1</script>').waitFor();
    await page.getByRole('heading', { name: HOSTILE_NAME, level: 1 }).waitFor();
    expect(await page.getByRole('link', { name: 'ships' }).getAttribute('href')).toBe(
      `/console/stores/${store.id}`,
    );
    expect(await barriersEverywhere(page, 'file')).toStrictEqual([]);
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download' }).click(),
    ]);
    expect(download.suggestedFilename()).toContain('.md');
    const shown = await browser.open(`/files/${picture}`);
    const image = shown.getByRole('img', { name: 'a.txt' });
    await image.waitFor();
    await expect.poll(async () => (await image.boundingBox())?.width).toBeGreaterThan(0);
    const neither = await browser.open(`/files/${other}`);
    await neither.getByText('neither text nor a picture').waitFor();

    await wire.ok('DELETE', `/files/${text}`);
    await page.getByRole('button', { name: 'Delete file' }).click();
    await confirm(page, 'Delete');
    await page.getByText('Somebody had already deleted it.').waitFor();
    await page.getByRole('heading', { name: 'Files', level: 1 }).waitFor();
  });

  test('makes a store, indexes files in it, searches in it, and says why a file is not indexed', async () => {
    const ships = await upload(SHIPS, 'ships.md');
    const page = await browser.open('/stores');
    await page.getByRole('button', { name: 'New store' }).click();
    await page.getByLabel('Name').fill(HOSTILE_NAME);
    await page.getByLabel('Expires after days without use').fill('7');
    expect(await barriersEverywhere(page, 'store-new')).toStrictEqual([]);
    await page.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('heading', { name: HOSTILE_NAME, level: 1 }).waitFor();
    const [store] = (await client().vectorStores.list()).data;
    expect(store).toMatchObject({ name: HOSTILE_NAME, expires_after: { days: 7 } });

    await page.getByRole('button', { name: 'Add files that are there already' }).click();
    await page.getByRole('dialog').getByLabel('Search').fill('ships.md');
    await page.getByRole('checkbox', { name: 'ships.md' }).check();
    expect(await barriersEverywhere(page, 'file-picker')).toStrictEqual([]);
    await page.getByRole('button', { name: 'Add (1)' }).click();
    writeFileSync(join(folder, 'broken.pdf'), '%PDF-1.7 that breaks off');
    await page.getByLabel('Upload files').setInputFiles(join(folder, 'broken.pdf'));
    await page.getByText('1 of 2 files are indexed. 1 failed.').waitFor();
    await page.getByRole('heading', { name: 'Not indexed' }).waitFor();
    const { data: files } = await client().vectorStores.files.list(store?.id ?? '', { filter: 'failed' });
    await page.getByText(files[0]?.last_error?.message ?? 'none').waitFor();

    await page.getByRole('searchbox', { name: 'Question or words' }).fill('Which ship sank?');
    await page.getByRole('button', { name: 'Search in the store' }).click();
    await page.getByText('The Vasa sank in 1628. <script>').waitFor();
    await page.getByText(/score \d\.\d{3}/).waitFor();
    expect(await barriersEverywhere(page, 'store')).toStrictEqual([]);

    await page.getByRole('checkbox', { name: 'Choose broken.pdf' }).check();
    await page.getByRole('button', { name: 'Remove from the store (1)' }).click();
    await confirm(page, 'Remove from the store');
    await page.getByText('Deleted: 1.').waitFor();
    await expect.poll(() => rows(page).count()).toBe(1);
    await page.getByRole('button', { name: 'Name and expiry' }).click();
    await page.getByLabel('Name').fill('renamed');
    await page.getByLabel('Expires after days without use').fill('');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'renamed', level: 1 }).waitFor();
    expect(await client().vectorStores.retrieve(store?.id ?? '')).toMatchObject({
      name: 'renamed',
      expires_after: null,
    });

    await page.getByRole('link', { name: '← Vector stores' }).click();
    await page.getByRole('link', { name: 'renamed' }).waitFor();
    expect(await barriersEverywhere(page, 'stores')).toStrictEqual([]);
    await page.getByRole('link', { name: 'renamed' }).click();
    await page.getByRole('button', { name: 'Delete store' }).click();
    await confirm(page, 'Delete');
    await page.getByRole('heading', { name: 'Vector stores', level: 1 }).waitFor();
    expect((await wire.ask('GET', `/vector_stores/${store?.id}`)).status).toBe(404);
    expect((await wire.ask('GET', `/files/${ships}`)).status).toBe(200);
  });

  test('leads from a citation and an attachment to their file, and shows pictures of messages', async () => {
    const [file, picture] = await Promise.all([upload(SHIPS, HOSTILE_NAME), upload(PIXEL, 'pixel.png')]);
    const assistant = await client().beta.assistants.create({ model: 'm', tools: [{ type: 'file_search' }] });
    const thread = await client().beta.threads.create({
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What sank?' },
            { type: 'image_file', image_file: { file_id: picture } },
          ],
          attachments: [{ file_id: file, tools: [{ type: 'file_search' }] }],
        },
      ],
    });
    upstream.reply(({ body }) =>
      body.messages.at(-1)?.role === 'tool'
        ? says(`The Vasa【1:0†${HOSTILE_NAME}】.`)
        : calls([{ name: 'file_search', arguments: '{"queries":["Which ship sank?"]}' }]),
    );
    await client().beta.threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });
    const page = await browser.open(`/threads/${thread.id}`);
    const sources = page.getByRole('list', { name: 'Sources' });
    const attachments = page.getByRole('list', { name: 'Attachments' });
    for (const place of [sources, attachments]) {
      const found = place.getByRole('link', { name: HOSTILE_NAME });
      await found.waitFor();
      expect(await found.getAttribute('href')).toBe(`/console/files/${file}`);
    }
    await page.getByRole('img', { name: 'Picture in the message' }).waitFor();
    expect(await barriersEverywhere(page, 'thread-sources')).toStrictEqual([]);
    await wire.ok('DELETE', `/files/${picture}`);
    await page.reload();
    await page.getByText('The picture was deleted.').waitFor();
  });

  test('lets no script of others run meanwhile', () => {
    expect(browser.complaints).toStrictEqual([]);
  });
});

/** What a page's handle leads to: the tests do not know the DOM's types. */
type DataTransferLike = object;

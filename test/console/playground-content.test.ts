/** What the playground shows of files, citations and charts, that nothing of it can do harm, and the same in code. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { calls, says, type Step } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';
import { barriersEverywhere, CHROMIUM } from './browser.ts';
import { withBrowser } from './with-browser.ts';

const { service, upstream, wire } = withService();
const browser = withBrowser(() => service.url);

/** Where a program finds the SDK. */
const FOLDER = fileURLToPath(new URL('../../node_modules/.cache/longrun-console', import.meta.url));
/** One red pixel. */
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==',
  'base64',
);
const FUNCTION = {
  type: 'function',
  function: { name: 'get_weather', parameters: { type: 'object', properties: {} } },
};

const field = (page: Page) => page.getByRole('textbox', { name: 'Message' });
const answers = (page: Page) => page.getByRole('article', { name: 'Assistant' });

async function ask(page: Page, words: string): Promise<void> {
  await field(page).fill(words);
  await field(page).press('Enter');
}

async function assistant(more: object = {}): Promise<string> {
  return (await wire.ok('POST', '/assistants', { model: 'm', name: 'Test', ...more })).id;
}

async function upload(name: string, bytes: Buffer, purpose: string): Promise<string> {
  const form = new FormData();
  form.set('purpose', purpose);
  form.set('file', new Blob([new Uint8Array(bytes)]), name);
  const answer = await fetch(`${service.baseUrl}/files`, { method: 'POST', body: form });
  return z.object({ id: z.string() }).parse(await answer.json()).id;
}

describe.skipIf(CHROMIUM === null)('the playground', () => {
  test('sends pictures and files, and shows where an answer has its words from', async () => {
    upstream.reply(({ outputs }) =>
      outputs.length > 0
        ? says('It weighs 12 kg【1:0†report.txt】.')
        : calls([{ name: 'file_search', arguments: { queries: ['weight'] } }]),
    );
    const id = await assistant({ tools: [{ type: 'file_search' }] });
    const page = await browser.open(`?assistant=${id}`);
    await page.getByText('Write a message to begin').waitFor();
    await page.getByLabel('Attach').setInputFiles([
      {
        name: 'report.txt',
        mimeType: 'text/plain',
        buffer: Buffer.from('The weight of the robot is 12 kg.'),
      },
      { name: 'robot.png', mimeType: 'image/png', buffer: PNG },
      { name: 'other.txt', mimeType: 'text/plain', buffer: Buffer.from('Nothing.') },
    ]);
    await page.getByRole('button', { name: 'Remove other.txt' }).click();
    await page.getByRole('button', { name: 'Remove report.txt' }).waitFor();
    await page.getByRole('button', { name: 'Remove robot.png' }).waitFor();
    expect(await barriersEverywhere(page, 'playground-attached')).toEqual([]);
    await ask(page, 'What is its weight?');

    await answers(page).getByText('It weighs 12 kg').waitFor();
    const question = page.getByRole('article', { name: 'You' });
    await question.getByText('report.txt').waitFor();
    expect(await question.getByRole('img', { name: 'Picture' }).getAttribute('src')).toMatch(/^blob:/);
    await page.getByText('1 found').click();
    await answers(page).getByRole('button', { name: 'Source 1' }).click();
    const source = page.getByRole('dialog', { name: 'Source' });
    await source.getByText('report.txt').waitFor();
    await source.getByText('The weight of the robot is 12 kg.').waitFor();
    expect(await barriersEverywhere(page, 'playground-source')).toEqual([]);
    await page.keyboard.press('Escape');
    await source.waitFor({ state: 'detached' });
  });

  test('shows the pictures of an answer', async () => {
    const file_id = await upload('chart.png', PNG, 'assistants');
    const content = [
      { type: 'image_file', image_file: { file_id } },
      { type: 'text', text: 'Here it is.' },
    ];
    const messages = [{ role: 'assistant', content }];
    const { id } = await wire.ok('POST', '/threads', { messages });
    const page = await browser.open(`?thread=${id}`);
    const picture = answers(page).getByRole('img', { name: 'Picture' });
    await picture.waitFor();
    await expect.poll(() => page.evaluate("document.querySelector('.picture').naturalWidth")).toBe(1);
  });

  test('lets nothing that anybody says become a part of the page', async () => {
    const attack = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>';
    const thought: Step = { type: 'chunk', delta: { reasoning_content: attack }, finish: null };
    const answer = [
      attack,
      '[click](javascript:window.hacked=1) ![seen](https://evil.example/seen.png) \u202Egnp.exe',
      `<svg onload="window.hacked=1"></svg> <a href="https://evil.example" ping="https://evil.example">x</a>`,
      `\`\`\`html\n${attack}\n\`\`\``,
      '[cite](cite:0) <style>body{display:none}</style>',
      'x'.repeat(200_000),
    ].join('\n\n');
    upstream.reply(({ outputs }) =>
      outputs.length > 0
        ? [thought, ...says(answer.slice(0, 300), answer.slice(300))]
        : calls([{ name: 'get_weather', arguments: { city: attack, long: 'y'.repeat(50_000) } }]),
    );
    const page = await browser.open(`?assistant=${await assistant({ name: attack, tools: [FUNCTION] })}`);
    const strangers: string[] = [];
    const dialogs: string[] = [];
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(service.url) && !/^(?:blob|data):/.test(url)) strangers.push(url);
    });
    page.on('dialog', (dialog) => {
      dialogs.push(dialog.message());
      void dialog.dismiss();
    });
    await page.getByText('Write a message to begin').waitFor();
    await page.getByLabel('Attach').setInputFiles([
      {
        name: `${attack.replaceAll('/', '')}\u202Egnp.exe`,
        mimeType: 'text/plain',
        buffer: Buffer.from(attack),
      },
    ]);
    await page.locator('.chosen').getByText('<img src=x onerror=').waitFor();
    await ask(page, attack);
    const form = page.getByRole('form', { name: 'Outputs' });
    await form
      .getByRole('textbox')
      .fill(`{"attack": ${JSON.stringify(attack)}, "long": "${'z'.repeat(200_000)}"}`);
    await form.getByRole('button', { name: 'Send outputs' }).click();
    await answers(page).getByText('gnp.exe').waitFor();
    await expect.poll(() => page.locator('.run-line .status').last().textContent()).toBe('completed');
    await page.locator('details.thoughts summary').click();
    await page.locator('details.call summary').click();
    await page.getByRole('button', { name: 'Show all 200' }).click();
    expect(await answers(page).innerText()).toContain('<script>window.hacked=1</script>');
    expect(
      await page.locator('[href^="javascript:"], .message img, .message script, .message style').count(),
    ).toBe(0);
    for (const trap of await page.getByText('click', { exact: true }).all()) await trap.click();
    // What is drawn from what is stored is as harmless.
    await page.reload();
    await answers(page).getByText('gnp.exe').waitFor();
    expect(await barriersEverywhere(page, 'playground-hostile')).toEqual([]);
    expect(await page.evaluate('window.hacked')).toBeUndefined();
    expect({ strangers, dialogs }).toEqual({ strangers: [], dialogs: [] });
  });

  test('shows the same in code, which runs as it is shown', async () => {
    upstream.reply(({ outputs, text }) => {
      if (outputs.length > 0) return says(`Answered: ${outputs.join()}`);
      return text.includes('`Lisbon`') ? calls([{ name: 'get_weather', arguments: {} }]) : undefined;
    });
    const page = await browser.open(`?assistant=${await assistant({ tools: [FUNCTION] })}`);
    await page.getByText('Write a message to begin').waitFor();
    const question = `It's "warm" in \`Lisbon\` \${now} \\ 😀?`;
    await ask(page, question);
    await page.getByLabel('Output of get_weather').fill('warm\u2028and "dry"');
    await page.getByRole('button', { name: 'Send outputs' }).click();
    await answers(page).getByText('Answered:').waitFor();
    await page.getByRole('button', { name: 'Code', exact: true }).click();
    expect(await barriersEverywhere(page, 'playground-code')).toEqual([]);
    mkdirSync(FOLDER, { recursive: true });
    const code = page.getByLabel('Code', { exact: true }).last();
    const shown = async (name: string): Promise<string> => {
      await page.getByRole('tab', { name }).click();
      await page.getByRole('tabpanel', { name }).waitFor();
      return (await page.getByRole('tabpanel').locator('code').textContent()) ?? '';
    };
    expect(await code.count()).toBe(1);
    for (const name of ['Node (Assistants)', 'Node (Responses)']) {
      const file = join(FOLDER, `${name}.mjs`);
      writeFileSync(file, await shown(name));
      const { stdout } = await promisify(execFile)(process.execPath, [file]);
      expect(stdout.trim()).toBe('Answered: warm\u2028and "dry"');
    }
    for (const name of ['Python (Assistants)', 'Python (Responses)']) {
      const program = await shown(name);
      execFileSync('python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], { input: program });
      expect(program).toContain('LONGRUN_API_KEY');
    }
    const { stdout } = await promisify(execFile)('sh', ['-c', await shown('curl')]);
    expect(stdout).toContain('event: thread.run.requires_action');
    // Arrow keys go from tab to tab.
    await page.getByRole('tab', { name: 'curl' }).press('ArrowRight');
    await page.getByRole('tab', { name: 'Python (Assistants)', selected: true }).waitFor();
  });

  test('changes an assistant', async () => {
    const page = await browser.open(`?assistant=${await assistant()}`);
    await page.getByText('Write a message to begin').waitFor();
    await page.getByRole('button', { name: 'Edit', exact: true }).click();
    const editor = page.getByRole('dialog', { name: 'Edit assistant' });
    await editor.getByLabel('Name', { exact: true }).fill('Changed');
    await editor.getByLabel('code_interpreter').check();
    await editor.getByLabel('clock', { exact: false }).first().check();
    await editor.getByLabel('Ask me before clock is called').check();
    await editor.getByRole('button', { name: 'Add a function' }).click();
    await editor.getByText('Further settings').click();
    await editor.getByLabel('Temperature').fill('0.5');
    expect(await barriersEverywhere(page, 'playground-editor')).toEqual([]);
    const schema = await editor.getByLabel('Function 1', { exact: true }).inputValue();
    await editor.getByLabel('Function 1', { exact: true }).fill('{');
    await editor.getByRole('button', { name: 'Save' }).click();
    await editor.getByText('Function 1 is no JSON').waitFor();
    await editor.getByLabel('Function 1', { exact: true }).fill(schema);
    await editor.getByRole('button', { name: 'Save' }).click();
    await editor.waitFor({ state: 'detached' });
    const [changed] = await wire.list('/assistants?limit=1');
    expect(changed).toMatchObject({
      name: 'Changed',
      temperature: 0.5,
      metadata: { auto_tools: 'clock', approve: 'clock' },
      tools: [{ type: 'code_interpreter' }, { type: 'function', function: { name: 'get_weather' } }],
    });
    // What is not saved is not lost without a question.
    await page.getByRole('button', { name: 'Edit', exact: true }).click();
    await editor.getByLabel('Name', { exact: true }).fill('Lost?');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Discard' }).click();
    await editor.waitFor({ state: 'detached' });
  });

  test('has no errors in its scripts, and does nothing that its policy forbids', () => {
    expect(browser.complaints).toEqual([]);
  });
});

/** What code_interpreter does, as the playground shows it: the code, what it prints, and its charts. Where this machine can run code. */
import { fileURLToPath } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import { hasBubblewrap } from '../sandbox/sandbox.ts';
import { calls, says } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';
import { barriersEverywhere, CHROMIUM } from './browser.ts';
import { withBrowser } from './with-browser.ts';

/** The packages are set up once on a machine, which takes a minute or two. */
const SETUP_MS = 300_000;
vi.setConfig({ testTimeout: 400_000 });

/** Kept from one test to the next, because it takes so long to fill. */
const CODE_FOLDER = fileURLToPath(new URL('../../node_modules/.cache/longrun-code', import.meta.url));

const canRun = await hasBubblewrap();

describe.skipIf(CHROMIUM === null || !canRun)('the playground, of code', () => {
  const { service, upstream, wire } = withService({ env: { CODE_FOLDER } });
  const browser = withBrowser(() => service.url);

  test('shows what it prints, the chart that it draws, once, and the files that it makes', async () => {
    const code = `import matplotlib.pyplot as plt
print('drawing')
plt.plot([3, 1, 4])
plt.show()
open('/mnt/data/table.csv', 'w').write('a,b')
`;
    upstream.reply(({ outputs }) =>
      outputs.length > 0
        ? says('Here it is, and [the table](sandbox:/mnt/data/table.csv).')
        : calls([{ name: 'code_interpreter', arguments: { code } }]),
    );
    const tools = [{ type: 'code_interpreter' }];
    const { id } = await wire.ok('POST', '/assistants', { model: 'm', name: 'Test', tools });
    const page = await browser.open(`?assistant=${id}`);
    await page.getByText('Write a message to begin').waitFor();
    await page.getByRole('textbox', { name: 'Message' }).fill('Draw a chart');
    await page.keyboard.press('Enter');
    await page.getByText('code_interpreter answered').click({ timeout: SETUP_MS });
    await page.getByLabel('Python').getByText("print('drawing')").waitFor();
    await page.getByLabel('Printed').getByText('drawing').waitFor();
    const status = page.locator('.run-line .status');
    await expect.poll(() => status.textContent()).toBe('completed');
    await page.getByRole('img').waitFor();
    expect(await page.getByRole('img').count()).toBe(1);
    expect(await barriersEverywhere(page, 'playground-chart')).toEqual([]);
    const saved = page.waitForEvent('download');
    await page.getByRole('button', { name: 'the table' }).click();
    expect((await saved).suggestedFilename()).toBe('table.csv');
    expect(browser.complaints).toEqual([]);
  });
});

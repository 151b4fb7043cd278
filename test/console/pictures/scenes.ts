/** What is done on a page before its picture is taken, in both languages. */
import type { Page } from 'playwright-core';
import { plant } from './plant.ts';

export const LANGUAGES = ['en', 'zh'] as const;
export type Language = (typeof LANGUAGES)[number];

export interface Stage {
  /** The origin of the service. */
  readonly url: string;
  readonly language: Language;
  readonly page: Page;
  /** A run with tools that has ended. */
  readonly threadId: string;
  readonly runId: string;
}

const goTo = async ({ page, url }: Stage, path: string): Promise<void> =>
  void (await page.goto(`${url}/console${path}`));

export const SCENES = {
  /** A question, and an answer that a tool had a part in. */
  playground: async (stage: Stage) => {
    const { page } = stage;
    await goTo(stage, '');
    await page
      .getByRole('button', { name: /Tokyo|东京/ })
      .first()
      .click();
    await page
      .getByText(/demo model|演示模型/)
      .first()
      .waitFor();
  },
  runs: async (stage: Stage) => {
    await goTo(stage, '/runs');
    await stage.page.getByRole('row').nth(5).waitFor();
  },
  run: async (stage: Stage) => {
    const { page, threadId, runId } = stage;
    await goTo(stage, `/runs/${threadId}/${runId}`);
    await page.getByText(runId).first().waitFor();
    await page
      .getByText(/completed|已完成/)
      .first()
      .waitFor();
  },
  glasses: async (stage: Stage) => {
    const { page } = stage;
    const picture = await plant(page);
    await goTo(stage, '/glasses');
    const question = stage.language === 'zh' ? '看看眼前是什么植物？' : 'Look at this plant: what is it?';
    await page.getByRole('textbox', { name: /Say to the glasses|对眼镜说/ }).fill(question);
    await page.getByRole('button', { name: /^(?:Ask|提问)$/ }).click();
    await page
      .getByLabel(/Choose a picture|选择图片/)
      .setInputFiles({ name: 'plant.png', mimeType: 'image/png', buffer: picture });
    await page.locator('.frame.nothing').waitFor();
  },
  service: async (stage: Stage) => {
    const { page } = stage;
    await goTo(stage, '/service');
    await page.getByRole('img', { name: /p50 \d/ }).waitFor();
  },
} as const;

/** What is done on a page before its picture is taken, in both languages. */
import type { Page } from 'playwright-core';
import { plant } from './plant.ts';
import { CHARTS, type Made } from './traffic.ts';

export const LANGUAGES = ['en', 'zh'] as const;
export type Language = (typeof LANGUAGES)[number];

export interface Stage extends Made {
  /** The origin of the service. */
  readonly url: string;
  readonly language: Language;
  readonly page: Page;
}

const goTo = async ({ page, url }: Stage, path: string): Promise<void> =>
  void (await page.goto(`${url}/console${path}`));

export const SCENES = {
  /** A chart that a program has drawn. */
  playground: async (stage: Stage) => {
    const { page, language, assistantId } = stage;
    await goTo(stage, `?assistant=${assistantId}`);
    const box = page.getByRole('textbox', { name: /^(?:Message|消息)/ });
    await box.fill(CHARTS[language]);
    await box.press('Enter');
    await page.getByRole('img').first().waitFor();
    await page
      .locator('.run-line .status')
      .getByText(/completed|已完成/)
      .waitFor();
  },
  runs: async (stage: Stage) => {
    await goTo(stage, '/runs');
    await stage.page.getByText(/^(?:Live|实时)/).waitFor();
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

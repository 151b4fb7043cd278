/** A picture to show to the glasses: nobody's photo, so nobody has to be asked. */
import type { Page } from 'playwright-core';

const DRAWING = `<body style="margin:0"><svg viewBox="0 0 400 300" width="400" height="300">
  <rect width="400" height="300" fill="#dfe9ec"/><rect y="240" width="400" height="60" fill="#b79a77"/>
  <g fill="#3f8a4d">${[-60, -30, 0, 30, 60].map((angle) => `<ellipse cx="200" cy="115" rx="20" ry="75" transform="rotate(${angle} 200 185)"/>`).join('')}</g>
  <path d="M150 185h100l-14 75h-72z" fill="#b4562f"/></svg></body>`;

/** Draws it on a page, which is then free for something else. @returns a PNG */
export async function plant(page: Page): Promise<Buffer> {
  await page.setContent(DRAWING);
  return page.locator('svg').screenshot();
}

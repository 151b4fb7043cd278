/** Scrolls through a page with the wheel, and measures what each frame takes and changes. */
import type { Page } from 'playwright-core';

export interface Scrolled {
  /** How long each frame took, in milliseconds. */
  readonly frames: readonly number[];
  /** How many nodes were added, removed or changed for each. */
  readonly changed: readonly number[];
  /** The most rows that were in the page at once. */
  readonly rows: number;
  /** Tasks of more than 50 ms, in milliseconds. */
  readonly longTasks: readonly number[];
}

// Text, because it runs in the browser: the types of tests do not know its things.
const MEASURE = `(() => {
  const measured = { frames: [], changed: [], rows: 0, longTasks: [] };
  window.measured = measured;
  let changed = 0;
  const count = (nodes) => {
    for (const node of nodes) changed += 1 + (node.querySelectorAll?.('*').length ?? 0);
  };
  new MutationObserver((records) => {
    for (const { type, addedNodes, removedNodes } of records) {
      if (type !== 'childList') changed += 1;
      count(addedNodes);
      count(removedNodes);
    }
  }).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) measured.longTasks.push(duration);
  }).observe({ type: 'longtask' });
  let last = performance.now();
  const frame = (now) => {
    measured.frames.push(now - last);
    last = now;
    measured.changed.push(changed);
    changed = 0;
    measured.rows = Math.max(measured.rows, document.querySelectorAll('tr').length);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})()`;

/** Run in a page: resolves when it draws next. */
export const NEXT_FRAME = 'new Promise((resolve) => requestAnimationFrame(() => resolve(null)))';

const UNTIL_STILL = `new Promise((resolve) => {
  let [at, frames] = [scrollY, 0];
  const look = () => {
    frames = scrollY === at ? frames + 1 : 0;
    at = scrollY;
    if (frames > 10) resolve(null);
    else requestAnimationFrame(look);
  };
  look();
})`;

/** Browsers take some frames to scroll by a key. */
export async function untilStill(page: Page): Promise<void> {
  await page.evaluate(UNTIL_STILL);
}

/** @param isThere whether the end was reached */
export async function scrollThrough(
  page: Page,
  step: number,
  isThere: () => Promise<boolean>,
): Promise<Scrolled> {
  await page.evaluate(MEASURE);
  await page.mouse.move(600, 500);
  while (!(await isThere())) {
    for (let turn = 0; turn < 5; turn += 1) {
      await page.mouse.wheel(0, step);
      await page.evaluate(NEXT_FRAME);
    }
  }
  return page.evaluate<Scrolled>('window.measured');
}

/** In words, for a log. */
export function summary({ frames, changed, rows, longTasks }: Scrolled): string {
  const sorted = frames.toSorted((one, other) => one - other);
  const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(1);
  const long = frames.filter((ms) => ms > 50).length;
  return [
    `${frames.length} frames, p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`,
    `${long} of them longer than 50 ms; ${longTasks.length} long tasks (longest ${Math.max(0, ...longTasks).toFixed(0)} ms)`,
    `at most ${Math.max(...changed)} nodes changed in a frame, at most ${rows} rows in the page`,
  ].join('; ');
}

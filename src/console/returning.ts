/** Waits for a server that is away, so that nobody has to press a button when it is back. */
import { say } from './say.ts';

/** Between two looks, in milliseconds. */
const WAIT_MS = 3_000;

/** What readers are told meanwhile. */
export const waitWords = (): string =>
  say(' This page goes on by itself when it is back.', '恢复后本页会自动继续。');

/** Whether the server answers. The console's own address is asked: a proxy may pass on little else. */
export async function isThere(): Promise<boolean> {
  try {
    const headers = { accept: 'text/html' };
    return (await fetch('/console', { headers, cache: 'no-store' })).ok;
  } catch {
    return false;
  }
}

/** Calls `back` once, when the server answers again. It is asked as long as the page is to be seen and `signal` is quiet. */
export function onReturn(back: () => void, signal: AbortSignal): void {
  const look = async (): Promise<void> => {
    const isBack = document.visibilityState === 'visible' && (await isThere());
    if (signal.aborted) return;
    if (isBack) back();
    else setTimeout(() => void look(), WAIT_MS);
  };
  setTimeout(() => void look(), WAIT_MS);
}

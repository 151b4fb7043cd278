/** What counts as Redis being away: how ioredis and Redis say that a command may succeed later. */
import { setTimeout as delay } from 'node:timers/promises';

/** While a server refuses for a reason that passes, who waits asks this often. */
export const ASK_AGAIN_MS = 200;

/** How ioredis says that a command was not answered. */
const UNANSWERED =
  /^(Connection is closed|Command aborted|Too many Cluster redirections|None of startup nodes|Failed to refresh slots)|enableOfflineQueue|max retries per request/;
/** How Redis refuses for a while: failing over, starting, without enough replicas, without room to write. */
const FOR_NOW =
  /^(READONLY|NOREPLICAS|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|UNBLOCKED|MISCONF|OOM|No sharded subscriber)\b/;

/** Whether a command failed because of the state Redis is in, not because of what it said: later it may succeed. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (UNANSWERED.test(error.message) || FOR_NOW.test(error.message)) return true;
  // A transaction says only that it was discarded; why, its commands have said before.
  const earlier: unknown = Reflect.get(error, 'previousErrors');
  return Array.isArray(earlier) && earlier.some(isUnavailable);
}

/** Whether a command failed because Redis has no room for what it would write. */
export function isFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const earlier: unknown = Reflect.get(error, 'previousErrors');
  return /^OOM\b/.test(error.message) || (Array.isArray(earlier) && earlier.some(isFull));
}

/** Asks until there is an answer: for what a process cannot begin without. */
export async function insist<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isUnavailable(error)) throw error;
    }
    await delay(ASK_AGAIN_MS);
  }
}

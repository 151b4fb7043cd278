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
  return errorsIn(error).some(({ message }) => UNANSWERED.test(message) || FOR_NOW.test(message));
}

/** Whether a command failed because Redis has no room for what it would write. */
export function isFull(error: unknown): boolean {
  return errorsIn(error).some(({ message }) => /^OOM\b/.test(message));
}

/**
 * An error and, where it is that of a transaction, those of its commands: it says only that it was discarded. A connection that is
 * lost ends all its commands with one error, which is then among its own earlier ones.
 */
function errorsIn(error: unknown): readonly Error[] {
  if (!(error instanceof Error)) return [];
  const earlier: unknown = Reflect.get(error, 'previousErrors');
  return [error, ...(Array.isArray(earlier) ? earlier : []).filter((one) => one instanceof Error)];
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

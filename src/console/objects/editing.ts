/** Changes are made to what the reader saw: one that somebody else has changed meanwhile is shown before it is overwritten. */
import type { App } from '../app.ts';

/** The object as it is now, where it differs in one of these fields from what the reader saw; null where it does not. */
export async function changedMeanwhile<T extends object>(
  app: App,
  path: string,
  seen: T,
  fields: readonly (keyof T)[],
): Promise<T | null> {
  const now: T = await app.api.get(path);
  return fields.some((field) => !isSame(seen[field], now[field])) ? now : null;
}

/** Whether two values are the same JSON, in whatever order their keys are. */
function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one ?? null, sorted) === JSON.stringify(other ?? null, sorted);
}

function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

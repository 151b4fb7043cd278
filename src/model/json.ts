/** Reads JSON that a model server wrote. Plain checks, because they run once per token. */

import { extentOf, MAX_JSON_DEPTH } from '../runs/json-extent.ts';

/** `value` when it is a string, otherwise the empty string. */
export function stringOr(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** `value` when it is a whole number of at least 0, otherwise null. */
export function countOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/**
 * The JSON value of `text`; undefined when it is not JSON (no JSON means undefined), or is nested too deep to be
 * written again.
 */
export function parseJson(text: string): unknown {
  try {
    return extentOf(text).depth > MAX_JSON_DEPTH ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `value` as JSON, or null when it is nested too deep to be written, as a value parsed by other code may be. */
export function jsonOf(value: unknown): string | null {
  try {
    return JSON.stringify(value) ?? '';
  } catch {
    return null;
  }
}

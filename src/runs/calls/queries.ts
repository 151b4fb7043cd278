/** The queries that a model writes when it calls file_search. Pure. */

import { extentOf, MAX_JSON_DEPTH } from '../json-extent.ts';

const MAX_QUERIES = 8;
const MAX_QUERY_LENGTH = 2_000;

/** What the model asks, in any form that models write it. */
export function queriesIn(written: string): readonly string[] {
  // Models in a loop nest thousands of lists.
  const isDeep = extentOf(written).depth > MAX_JSON_DEPTH;
  const all = isDeep ? [written] : textsIn(parsed(written));
  const queries = all.map((text) => text.trim().slice(0, MAX_QUERY_LENGTH)).filter((text) => text !== '');
  return [...new Set(queries)].slice(0, MAX_QUERIES);
}

function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(textsIn);
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(textsIn);
}

function parsed(written: string): unknown {
  try {
    const value: unknown = JSON.parse(written);
    return value;
  } catch {
    return written;
  }
}

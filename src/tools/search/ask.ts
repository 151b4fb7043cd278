/** Asks one search engine over HTTP and reads its JSON. The answer is checked, because it may be anything. */
import { z } from 'zod';
import type { ToolFetchInit } from '../../runs/tool.ts';
import type { SearchMeans } from './provider.ts';

/** Enough for forty results with everything that engines add to them. */
const MAX_BYTES = 2 * 1024 * 1024;

/** A value that is not text counts as empty: a result without an extract is still a result. */
const anyText = z.string().catch('');

/** A list of results in the form of all engines, which differ only in the name of the extract. */
export const resultsSchema = z.array(
  z
    .object({ title: anyText, url: anyText, content: anyText, description: anyText })
    .transform(({ title, url, content, description }) => ({ title, url, snippet: content || description }))
    .catch({ title: '', url: '', snippet: '' }),
);

/**
 * The engine's answer.
 * @throws {Error} whose message never holds the query's text, nor the key.
 */
export async function ask<Schema extends z.ZodType>(
  url: URL,
  init: ToolFetchInit,
  schema: Schema,
  { fetch, signal, timeoutMs }: SearchMeans,
): Promise<z.output<Schema>> {
  // A redirect would take the key to another address.
  const response = await fetch(url, { ...init, redirect: 'error', signal, timeoutMs, maxBytes: MAX_BYTES });
  if (!response.ok) {
    await response.body?.cancel();
    throw new Error(`it answered with HTTP status ${response.status}`);
  }
  const parsed = schema.safeParse(parse(await response.text()));
  if (!parsed.success) throw new Error('its answer is not a list of results');
  return parsed.data;
}

/** The parser's own error would quote the answer, and with it the query. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('its answer is not JSON');
  }
}

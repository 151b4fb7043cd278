/** Asks one search engine over HTTP and reads its JSON. What comes back is checked, because anything may come back. */
import { z } from 'zod';
import type { ToolFetchInit } from '../../runs/tool.ts';
import type { SearchMeans } from './provider.ts';

/** Forty results with all that engines say about them. */
const MAX_BYTES = 2 * 1024 * 1024;

/** What is no text counts as none: a result without an extract is still one. */
const anyText = z.string().catch('');

/** A list of results as all engines write it, but for the name of the extract. */
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
  // Redirected, a request would take its key along to wherever it is sent.
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

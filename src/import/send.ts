/** Sends batches and files to a running Longrun, and adds up what became of it. */
import { openAsBlob, statSync } from 'node:fs';
import { basename } from 'node:path';
import { z } from 'zod';
import type { ExportedFile } from './originals.ts';

/** Where the service is, and the key it asks for. */
export interface Target {
  /** The API's base, ending in `/v1`. */
  readonly url: string;
  readonly apiKey: string | null;
}

interface ToldRemark {
  readonly id: string;
  readonly reason: string;
}

export interface Totals {
  imported: number;
  unchanged: number;
  readonly refused: ToldRemark[];
  readonly reduced: ToldRemark[];
}

const remarks = z.array(z.object({ id: z.string(), reason: z.string() }));
const answerSchema = z.object({
  imported: z.int(),
  unchanged: z.int(),
  refused: remarks,
  reduced: remarks,
});
const refusalSchema = z.object({ error: z.object({ message: z.string() }) });

/** @throws {Error} saying what the service refused, or that it cannot be reached, and what to do. */
export async function send(target: Target, batch: string, totals: Totals): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const { response, body } = await ask(target, '/import', { method: 'POST', headers, body: batch });
  const answer = answerSchema.safeParse(body);
  if (!response.ok || !answer.success) throw refused(target, response, body, totals);
  totals.imported += answer.data.imported;
  totals.unchanged += answer.data.unchanged;
  totals.refused.push(...answer.data.refused);
  totals.reduced.push(...answer.data.reduced);
}

/**
 * Sends a file with its bytes, unless it is there already. One that the service does not want is noted, and the others go on.
 * @throws {Error} as {@link send}
 */
export async function sendFile(
  target: Target,
  file: ExportedFile,
  path: string,
  totals: Totals,
): Promise<void> {
  const there = await ask(target, `/files/${encodeURIComponent(file.id)}`, {});
  if (there.response.ok) {
    totals.unchanged += 1;
    return;
  }
  const form = new FormData();
  form.set('purpose', file.purpose ?? 'assistants');
  form.set('created_at', String(file.created_at ?? Math.floor(statSync(path).mtimeMs / 1_000)));
  if (file.expires_at != null) form.set('expires_at', String(file.expires_at));
  form.set('file', await openAsBlob(path), file.filename ?? basename(path));
  const to = `/import/files/${encodeURIComponent(file.id)}`;
  const { response, body } = await ask(target, to, { method: 'POST', body: form });
  if (response.ok) {
    totals.imported += 1;
    return;
  }
  const said = refusalSchema.safeParse(body).data?.error.message;
  if (said === undefined || !OF_ONE_FILE.has(response.status)) throw refused(target, response, body, totals);
  totals.refused.push({ id: file.id, reason: said });
}

/** Statuses that say something of one file, and nothing of the next. */
const OF_ONE_FILE: ReadonlySet<number> = new Set([400, 413]);

async function ask(
  { url, apiKey }: Target,
  path: string,
  request: RequestInit,
): Promise<{ readonly response: Response; readonly body: unknown }> {
  const headers = new Headers(request.headers);
  if (apiKey !== null) headers.set('authorization', `Bearer ${apiKey}`);
  let response: Response;
  try {
    response = await fetch(`${url}${path}`, { ...request, headers });
  } catch (cause) {
    const text = `No Longrun answers at ${url}. Start it (npm start), or say where it is: LONGRUN_URL=http://HOST:8080/v1`;
    throw new Error(text, { cause });
  }
  return { response, body: await response.json().catch(() => null) };
}

function refused({ url }: Target, response: Response, body: unknown, totals: Totals): Error {
  const said = refusalSchema.safeParse(body).data?.error.message ?? 'it is not a Longrun, or an older one';
  const key = response.status === 401 ? '\nGive the key: LONGRUN_API_KEY=… npm run import' : '';
  const before = totals.imported + totals.unchanged;
  const taken =
    before === 0
      ? 'Nothing was taken.'
      : `${before} of the objects were taken before; importing again goes on from there.`;
  return new Error(`${url} refused (${response.status}): ${asSentence(said)}${key}\n${taken}`);
}

/** The text with a full stop, if it lacks one. */
export function asSentence(text: string): string {
  return /[.!?。！？]$/.test(text) ? text : `${text}.`;
}

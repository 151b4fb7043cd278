/** Sends a batch to a running Longrun and adds up what became of it. */
import { z } from 'zod';

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
export async function send({ url, apiKey }: Target, batch: string, totals: Totals): Promise<void> {
  const headers = {
    'content-type': 'application/json',
    ...(apiKey !== null && { authorization: `Bearer ${apiKey}` }),
  };
  let response: Response;
  try {
    response = await fetch(`${url}/import`, { method: 'POST', headers, body: batch });
  } catch (cause) {
    const text = `No Longrun answers at ${url}. Start it (npm start), or say where it is: LONGRUN_URL=http://HOST:8080/v1`;
    throw new Error(text, { cause });
  }
  const body: unknown = await response.json().catch(() => null);
  const answer = answerSchema.safeParse(body);
  if (response.ok && answer.success) {
    totals.imported += answer.data.imported;
    totals.unchanged += answer.data.unchanged;
    totals.refused.push(...answer.data.refused);
    totals.reduced.push(...answer.data.reduced);
    return;
  }
  const said = refusalSchema.safeParse(body).data?.error.message ?? 'it is not a Longrun, or an older one';
  const key = response.status === 401 ? '\nGive the key: LONGRUN_API_KEY=… npm run import' : '';
  const before = totals.imported + totals.unchanged;
  const taken =
    before === 0
      ? 'Nothing was taken.'
      : `${before} of the objects were taken before; importing again goes on from there.`;
  throw new Error(`${url} refused (${response.status}): ${asSentence(said)}${key}\n${taken}`);
}

/** The text with a full stop, if it lacks one. */
export function asSentence(text: string): string {
  return /[.!?。！？]$/.test(text) ? text : `${text}.`;
}

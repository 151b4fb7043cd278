/** A run as one line of the list. */
import type { RunNews } from '../admin-stream.ts';
import { hasEnded, type Run } from '../wire.ts';

/** Times are unix seconds. */
export interface RunRow extends Pick<
  Run,
  'id' | 'thread_id' | 'assistant_id' | 'model' | 'status' | 'created_at' | 'started_at'
> {
  /** Null while it goes on, and where nobody noted it. */
  readonly ended_at: number | null;
  /** Null until the run has ended. */
  readonly tokens: number | null;
  /** In the currency of the server's configuration; null where it knows no prices. */
  readonly cost: number | null;
}

/** What lists call a run that no assistant made. */
const NO_ASSISTANT = 'asst_none';

export const hasAssistant = ({ assistant_id }: Pick<Run, 'assistant_id'>): boolean =>
  assistant_id !== NO_ASSISTANT;

/** A run as the API shows it. */
export function rowOf(run: Run & { readonly cost?: number | null }): RunRow {
  const { id, thread_id, assistant_id, model, status, created_at, started_at, usage, cost = null } = run;
  const tokens = usage?.total_tokens ?? null;
  return {
    id,
    thread_id,
    assistant_id,
    model,
    status,
    created_at,
    started_at,
    ended_at: endOf(run),
    tokens,
    cost,
  };
}

/** A run as the service tells of it when its status has changed. */
export function toldRow(news: RunNews): RunRow {
  const { id, thread_id, assistant_id, model, status, created_at, started_at, usage, cost, at } = news;
  const ended_at = hasEnded(status) ? at : null;
  const tokens = usage?.total_tokens ?? null;
  return { id, thread_id, assistant_id, model, status, created_at, started_at, ended_at, tokens, cost };
}

/** When a run ended, in unix seconds: one that is incomplete does not say. */
export function endOf(run: Run): number | null {
  if (!hasEnded(run.status)) return null;
  return (
    run.completed_at ??
    run.failed_at ??
    run.cancelled_at ??
    (run.status === 'expired' ? run.expires_at : null)
  );
}

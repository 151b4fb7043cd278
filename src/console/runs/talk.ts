/** What was asked and said in a run, and what it did in between. */
import { ApiProblem } from '../api.ts';
import type { App } from '../app.ts';
import type { List, Message, Run } from '../wire.ts';

export interface Talk {
  /** What the user said last before the run, oldest first. */
  readonly asked: readonly Message[];
  /** What the run said, by id. */
  readonly said: ReadonlyMap<string, Message>;
}

/** How far back the user's last words are looked for. */
const BEFORE = 20;

/** Null for a chat without a thread, of which no messages are kept. */
export async function loadTalk({ api }: App, run: Run, signal: AbortSignal): Promise<Talk | null> {
  const path = `/threads/${encodeURIComponent(run.thread_id)}/messages`;
  try {
    const said: List<Message> = await api.get(path, { run_id: run.id, order: 'asc', limit: 100 }, signal);
    const first = said.data[0];
    const before: List<Message> = await api.get(
      path,
      { order: 'desc', limit: BEFORE, after: first?.id },
      signal,
    );
    const older = before.data.filter(({ created_at }) => created_at <= run.created_at);
    const answer = older.findIndex(({ role }) => role === 'assistant');
    const asked = older.slice(0, answer === -1 ? older.length : answer).toReversed();
    return { asked, said: new Map(said.data.map((message) => [message.id, message])) };
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 404) return null;
    throw error;
  }
}

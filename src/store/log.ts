/** A run's event log as it is stored: entries with a sequence number, read in order. */
import type { RunEvent } from '../runs/event.ts';
import { decode, Unreadable } from './json.ts';
import type { RedisKeys, RunRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** One event and its place: 1, 2, 3 … without gaps. */
export interface LoggedEvent {
  readonly seq: number;
  readonly event: RunEvent;
}

/** The log from entry `first` on, up to `limit` entries. @returns nothing when it does not reach that far, or has expired. @throws {Unreadable} */
export async function readLog(
  redis: ScriptedRedis,
  keys: RedisKeys,
  ref: RunRef,
  first: number,
  limit = Number.MAX_SAFE_INTEGER,
): Promise<readonly LoggedEvent[]> {
  const rows = await redis.xrange(keys.log(ref), `${first}-0`, '+', 'COUNT', limit);
  return rows.map(([id, fields]) => ({
    seq: Number(id.slice(0, id.indexOf('-'))),
    event: decodeEvent(fields[1] ?? '', ref),
  }));
}

function decodeEvent(text: string, { runId }: RunRef): RunEvent {
  const what = `log of ${runId}`;
  const event = decode<RunEvent | null>(text, what);
  if (typeof event?.type !== 'string') throw new Unreadable(what);
  return event;
}

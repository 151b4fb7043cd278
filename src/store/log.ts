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

/** Most answers of a model have fewer entries so far. */
const READ_BACK = 200;

/**
 * The events after the last one that is a beginning, read from the log's end back to it.
 * @returns nothing when the log has none. @throws {Unreadable}
 */
export async function readBack(
  redis: ScriptedRedis,
  keys: RedisKeys,
  ref: RunRef,
  isBegin: (event: RunEvent) => boolean,
): Promise<readonly RunEvent[]> {
  const events: RunEvent[] = [];
  for (let last = '+'; ;) {
    const rows = await redis.xrevrange(keys.log(ref), last, '-', 'COUNT', READ_BACK);
    for (const [id, fields] of rows) {
      const event = decodeEvent(fields[1] ?? '', ref);
      if (isBegin(event)) return events.toReversed();
      events.push(event);
      last = `(${id}`;
    }
    if (rows.length < READ_BACK) return [];
  }
}

function decodeEvent(text: string, { runId }: RunRef): RunEvent {
  const what = `log of ${runId}`;
  const event = decode<RunEvent | null>(text, what);
  if (typeof event?.type !== 'string') throw new Unreadable(what);
  return event;
}

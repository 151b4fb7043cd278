/**
 * Where the time before an answer's first word went: the queue, the service's own tools, the model server. Measured
 * from the arrival of the run's events in this process, so only one clock is involved.
 */
import type { RunEvent, RunEventType } from '../runs/event.ts';
import { isQueued } from '../runs/run.ts';
import type { LoggedEvent } from '../store/follow.ts';
import { overheard, type Passing } from '../store/passing.ts';
import type { StoredRun } from '../store/runs.ts';

type TimeShare = 'queue' | 'tools' | 'upstream';

/** What the time before a first word was spent on, in milliseconds. */
export type SpentMs = Readonly<Record<TimeShare, number>>;

/** What the time before an event was spent on; before any other event the run waited for the upstream. */
const SHARES: Readonly<Partial<Record<RunEventType, TimeShare>>> = {
  'run.queued': 'queue',
  'run.started': 'queue',
  'run.released': 'queue',
  'run.resumed': 'queue',
  'tool.answered': 'tools',
};

/** Measures from the creation of this object to the first word. */
export class ServerTiming {
  readonly #tell: (spentMs: SpentMs) => void;
  readonly #nowMs: () => number;
  readonly #spentMs: Record<TimeShare, number> = { queue: 0, tools: 0, upstream: 0 };
  #lastMs: number;
  #isOver = false;

  /** @param tell hears of the first word when it comes */
  constructor(tell: (spentMs: SpentMs) => void = () => {}, nowMs = (): number => performance.now()) {
    this.#tell = tell;
    this.#nowMs = nowMs;
    this.#lastMs = nowMs();
  }

  /** Is told the events of a turn, in order, each when it arrives. */
  hear(event: RunEvent): void {
    if (this.#isOver) return;
    const nowMs = this.#nowMs();
    this.#spentMs[SHARES[event.type] ?? 'upstream'] += nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    this.#isOver = event.type === 'message.delta' && event.text !== '';
    if (this.#isOver) this.#tell(this.#spentMs);
  }

  /** The shares so far as a `server-timing` header, in milliseconds. */
  get header(): string {
    const shares = Object.entries(this.#spentMs);
    return shares.map(([share, ms]) => `${share};dur=${ms.toFixed(1)}`).join(', ');
  }
}

/**
 * The log of a run for one who watches it from its beginning, right after it was created: a worker may have begun by then, but
 * where a word had been said already, nobody knows when it came.
 */
export function timedFromStart(
  log: Passing<readonly LoggedEvent[]>,
  { seq: begun }: StoredRun,
  tell: (spentMs: SpentMs) => void,
): Passing<readonly LoggedEvent[]> {
  const timing = new ServerTiming(tell);
  let isLate = false;
  return overheard(log, (entries) => {
    for (const { seq, event } of entries) {
      if (seq <= begun) isLate ||= event.type === 'message.delta';
      else if (!isLate) timing.hear(event);
    }
  });
}

/** The log of a run. Where the run has just been queued, the time before the first word that follows is measured. */
export function timed(
  log: Passing<readonly LoggedEvent[]>,
  { state, seq: begun }: StoredRun,
  tell: (spentMs: SpentMs) => void,
): Passing<readonly LoggedEvent[]> {
  // Of a run that is under way, or is read again, nobody knows for how long its caller has waited.
  if (!isQueued(state.run)) return log;
  const timing = new ServerTiming(tell);
  return overheard(log, (entries) => {
    for (const { seq, event } of entries) if (seq > begun) timing.hear(event);
  });
}

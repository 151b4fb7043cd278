/**
 * Where the time before an answer's first word went: the queue, the service's own tools, the model server. Measured
 * from the arrival of the run's events in this process, so only one clock is involved.
 */
import type { RunEvent, RunEventType } from '../runs/event.ts';

type TimeShare = 'queue' | 'tools' | 'upstream';

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
  readonly #nowMs: () => number;
  readonly #spentMs: Record<TimeShare, number> = { queue: 0, tools: 0, upstream: 0 };
  #lastMs: number;
  #isOver = false;

  constructor(nowMs = (): number => performance.now()) {
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
  }

  /** The shares so far as a `server-timing` header, in milliseconds. */
  get header(): string {
    const shares = Object.entries(this.#spentMs);
    return shares.map(([share, ms]) => `${share};dur=${ms.toFixed(1)}`).join(', ');
  }
}

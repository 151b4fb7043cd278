/**
 * What all workers have measured since this process began. It never falls, whatever becomes of workers and of Redis: a
 * monitor takes a figure that falls for one that began anew at 0, and would count all of it a second time.
 *
 *   M1  what a worker measured stays counted when the worker has gone
 *   M2  what workers had measured before this process began is not counted here
 *   M3  a report that is older than one seen before, as a replica of Redis may show it after a failover, changes nothing
 */
import type { Measured } from '../../measures.ts';

/** A worker that says nothing for so long does not come back under its name. */
const FORGOTTEN_AFTER_MS = 600_000;

interface MeasuringWorker {
  readonly name: string;
  readonly measured: Measured;
}

/** The most that a worker has said, by measure and labels. */
interface LastSeen {
  readonly cells: Map<string, readonly number[]>;
  atMs: number;
}

export class WorkerTotals {
  readonly #nowMs: () => number;
  readonly #lastSeen = new Map<string, LastSeen>();
  readonly #sums = new Map<string, Map<string, readonly number[]>>();
  #hasBegun = false;

  constructor(nowMs = (): number => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Takes in what the workers that are alive say. */
  see(workers: readonly MeasuringWorker[]): void {
    const atMs = this.#nowMs();
    for (const worker of workers) this.#seeOne(worker, atMs);
    for (const [name, seen] of this.#lastSeen)
      if (atMs - seen.atMs > FORGOTTEN_AFTER_MS) this.#lastSeen.delete(name);
    this.#hasBegun = true;
  }

  #seeOne({ name, measured }: MeasuringWorker, atMs: number): void {
    const seen: LastSeen = this.#lastSeen.get(name) ?? { cells: new Map(), atMs };
    seen.atMs = atMs;
    this.#lastSeen.set(name, seen);
    for (const [measure, cells] of Object.entries(measured)) {
      for (const [labels, cell] of Object.entries(cells)) {
        const place = `${measure} ${labels}`;
        const before = seen.cells.get(place) ?? (this.#hasBegun ? [] : cell);
        const most = cell.map((value, index) => Math.max(value, before[index] ?? 0));
        seen.cells.set(place, most);
        this.#add(
          measure,
          labels,
          most.map((value, index) => value - (before[index] ?? 0)),
        );
      }
    }
  }

  #add(measure: string, labels: string, more: readonly number[]): void {
    const sums = this.#sums.get(measure) ?? new Map<string, readonly number[]>();
    this.#sums.set(measure, sums);
    const sum = sums.get(labels) ?? [];
    // Workers of two versions may have other buckets for a while; the first that was seen counts.
    if (sum.length > 0 && sum.length !== more.length) return;
    sums.set(
      labels,
      more.map((value, index) => value + (sum[index] ?? 0)),
    );
  }

  get measured(): Measured {
    return Object.fromEntries([...this.#sums].map(([name, cells]) => [name, Object.fromEntries(cells)]));
  }
}

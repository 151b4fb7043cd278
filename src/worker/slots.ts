/**
 * Shares the slots of this worker process among upstreams. Where several upstreams are configured, some slots are
 * reserved for each, so that an upstream with endless answers leaves room for the others. Runs without a slot wait in
 * the queue and are woken in order. It only counts: it never touches runs, and touches jobs through `wake` only.
 *
 *   S1  no upstream holds all slots of a process that has several upstreams, and each can always use the slots reserved
 *       for it
 *   S2  a slot that is not reserved for another upstream goes to the first run that comes
 */
import type { RunJob } from '../store/run-jobs.ts';

/** The part of all slots that is reserved, in equal shares; the rest goes to the upstreams that have runs. */
const KEPT = 1 / 2;

export interface SlotsOptions {
  /** How many runs this process executes at once. */
  readonly slots: number;
  /** `slots` is the most that the upstream may hold. */
  readonly upstreams: readonly { readonly name: string; readonly slots?: number | undefined }[];
  /** Makes a waiting job come now; false when it no longer waits. */
  readonly wake: (job: RunJob) => Promise<boolean>;
}

interface HeldSlot {
  readonly most: number;
  /** The slots that are reserved for it. */
  readonly kept: number;
  held: number;
}

/** A run that found no slot. */
interface WaitingRun {
  readonly job: RunJob;
  readonly upstream: string;
  /** Its job is back in the queue; before that it cannot be woken. */
  isLaidAside: boolean;
  /** When it was last woken (monotonic). It keeps its place until it is here again. */
  wokenMs?: number;
}

/** A woken run that has not come by then is with another worker. */
const COMES_WITHIN_MS = 10_000;

/** Gives a slot back; calling it again changes nothing. */
export type Slot = () => void;

export class Slots {
  readonly #slots: number;
  readonly #wake: SlotsOptions['wake'];
  readonly #upstreams: ReadonlyMap<string, HeldSlot>;
  /** By run, the longest waiting first. */
  readonly #waiting = new Map<string, WaitingRun>();

  constructor({ slots, upstreams, wake }: SlotsOptions) {
    const count = upstreams.length;
    const all = count > 1 && slots > 1 ? slots - 1 : slots;
    const kept = count > 1 && slots >= count ? Math.max(1, Math.floor((slots * KEPT) / count)) : 0;
    this.#slots = slots;
    this.#wake = wake;
    this.#upstreams = new Map(
      upstreams.map(({ name, slots: own = all }) => {
        const most = Math.min(own, all);
        return [name, { most, kept: Math.min(kept, most), held: 0 }];
      }),
    );
  }

  /** How many runs of an upstream have a slot. */
  held(upstream: string): number {
    return this.#upstreams.get(upstream)?.held ?? 0;
  }

  /**
   * A slot for a run; null when its upstream may have no further slot now.
   * @param upstream null for a run that no upstream will answer; such a run fails at once and needs no slot
   */
  take(upstream: string | null, job: RunJob): Slot | null {
    const taker = upstream === null ? undefined : this.#upstreams.get(upstream);
    if (upstream === null || taker === undefined) return () => {};
    if (!this.#mayTake(taker)) {
      // A run that was here before keeps its place.
      this.#waiting.set(job.runId, { job, upstream, isLaidAside: false });
      return null;
    }
    this.#waiting.delete(job.runId);
    taker.held += 1;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      taker.held -= 1;
      void this.#wakeNext();
    };
  }

  /** The job of a run that found no slot is in the queue now. */
  laidAside({ runId }: RunJob): void {
    const found = this.#waiting.get(runId);
    if (found === undefined) return;
    found.isLaidAside = true;
    // A slot that became free in between could not wake this run.
    void this.#wakeNext();
  }

  /** Whether the run has been here before and found no slot. */
  knows(runId: string): boolean {
    return this.#waiting.has(runId);
  }

  /** The run needs no slot any more. */
  forget(runId: string): void {
    this.#waiting.delete(runId);
  }

  #mayTake(taker: HeldSlot): boolean {
    if (taker.held >= taker.most) return false;
    if (taker.held < taker.kept) return true;
    let free = this.#slots;
    for (const other of this.#upstreams.values()) {
      // Slots reserved for another upstream count as held.
      free -= other === taker ? other.held : Math.max(other.held, other.kept);
    }
    return free > 0;
  }

  /** Wakes the run that has waited longest, of those that may have a slot now. */
  async #wakeNext(): Promise<void> {
    for (const found of this.#waiting.values()) {
      const { job, upstream, wokenMs = Infinity } = found;
      if (!found.isLaidAside) {
        if (performance.now() - wokenMs > COMES_WITHIN_MS) this.#waiting.delete(job.runId);
        continue;
      }
      const taker = this.#upstreams.get(upstream);
      if (taker === undefined || !this.#mayTake(taker)) continue;
      found.isLaidAside = false;
      found.wokenMs = performance.now();
      // Without Redis no job can be woken; the queue itself makes it come a little later.
      if (await this.#wake(job).catch(() => true)) return;
      // With another worker, or cancelled: if it comes back here, it counts as new.
      if (this.#waiting.get(job.runId) === found) this.#waiting.delete(job.runId);
    }
  }
}

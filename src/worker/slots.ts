/**
 * Who may have the slots of this worker process. Where several upstreams are configured, some slots are kept for each, so
 * that one whose answers take for ever leaves room for the others. Runs beyond that wait in the queue, and are woken in
 * their order. Counts only: it never touches runs, and jobs by `wake` alone.
 *
 *   S1  no upstream holds all slots of a process that has others, and each finds those that are kept for it
 *   S2  whatever is not kept for another is for whoever comes
 */
import type { RunJob } from '../store/run-jobs.ts';

/** The part of all slots that is kept, in equal shares; the rest goes to where the runs are. */
const KEPT = 1 / 2;

export interface SlotsOptions {
  /** Runs that this process executes at once. */
  readonly slots: number;
  /** `slots` is the most that one may hold. */
  readonly upstreams: readonly { readonly name: string; readonly slots?: number | undefined }[];
  /** Has a job that waits taken now; false when it does not wait any more. */
  readonly wake: (job: RunJob) => Promise<boolean>;
}

interface HeldSlot {
  readonly most: number;
  /** Those that are kept for it whatever the others do. */
  readonly kept: number;
  held: number;
}

/** A run that found no slot. */
interface WaitingRun {
  readonly job: RunJob;
  readonly upstream: string;
  /** Its job lies in the queue; before that it cannot be woken. */
  isLaidAside: boolean;
  /** When it was woken last (monotonic): until it is here again it keeps its place. */
  wokenMs?: number;
}

/** A woken run that has not come by then is in other hands. */
const COMES_WITHIN_MS = 10_000;

/** Gives a slot back; doing it again changes nothing. */
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
   * A slot for a run, or null when its upstream may have no further one now.
   * @param upstream null for a run that no upstream will answer; it fails at once, and needs none
   */
  take(upstream: string | null, job: RunJob): Slot | null {
    const taker = upstream === null ? undefined : this.#upstreams.get(upstream);
    if (upstream === null || taker === undefined) return () => {};
    if (!this.#mayTake(taker)) {
      // One that was here before keeps its place.
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

  /** The job of a run that found no slot lies in the queue now. */
  laidAside({ runId }: RunJob): void {
    const found = this.#waiting.get(runId);
    if (found === undefined) return;
    found.isLaidAside = true;
    // A slot that became free in between has woken nobody for it.
    void this.#wakeNext();
  }

  /** Whether the run has been here before, and found no slot. */
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
      // What is kept for another counts as held.
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
      // Without Redis nobody can be woken; the queue does it by itself, a little later.
      if (await this.#wake(job).catch(() => true)) return;
      // In other hands, or cancelled: it comes back here as a new one, if at all.
      if (this.#waiting.get(job.runId) === found) this.#waiting.delete(job.runId);
    }
  }
}

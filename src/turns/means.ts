/** The stores, services and settings that turns work with; the composition root fills it. */
import type { Clock } from '../runs/ids.ts';
import type { Plugins } from '../runs/tool.ts';
import type { Seal } from '../seal.ts';
import type { Approvals } from '../store/approvals.ts';
import type { IdempotencyRecords } from '../store/idempotency-records.ts';
import type { Listeners } from '../store/listeners.ts';
import type { LogHub } from '../store/follow.ts';
import type { Objects } from '../store/objects.ts';
import type { PhotoWait } from '../store/photo-wait.ts';
import type { RunStore } from '../store/runs.ts';
import type { Shelving } from '../store/shelving.ts';
import type { Trial } from '../store/trial.ts';
import type { Admission } from './admission.ts';
import type { Shelf } from './shelf.ts';

export interface Means {
  readonly runs: RunStore;
  readonly objects: Objects;
  readonly hub: LogHub;
  readonly answers: IdempotencyRecords;
  /** Bounds what a project may store before a model has answered its key. */
  readonly trial: Trial;
  /** The tools this server has. */
  readonly plugins: Plugins;
  readonly photos: PhotoWait;
  readonly approvals: Approvals;
  readonly listeners: Listeners;
  /** Seals secrets of requests; null when the operator has set no SECRET. */
  readonly seal: Seal | null;
  /** Whether a name is, or may be, the name of a model. */
  readonly knowsModel: (name: string) => Promise<boolean>;
  /** Puts files into vector stores, to be read by workers. */
  readonly shelving: Shelving;
  /** What was read of them. */
  readonly shelf: Shelf;
  /** Admits runs and streams, or refuses them. */
  readonly admission: Admission;
  readonly now: Clock;
  /** Unix milliseconds, where seconds are too coarse. */
  readonly nowMs: () => number;
  readonly settings: RunSettings;
}

/** The parts of the configuration that shape runs. */
export interface RunSettings {
  /** A run's whole life, unless its metadata asks for less. */
  readonly runExpiresAfterS: number;
  readonly pollAfterMs: number;
  /** After outputs were submitted, a run that makes new calls is shown as queued for this long. */
  readonly pollGraceMs: number;
  readonly parallelToolCalls: boolean;
  /** The content of one message, or the outputs of one submission. */
  readonly messageLimitBytes: number;
  /** The messages of one request without a thread. */
  readonly promptLimitBytes: number;
}

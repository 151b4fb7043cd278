/** What endpoints are given to work with; the composition root fills it. */
import type { Clock } from '../runs/ids.ts';
import type { Plugins, RunTool } from '../runs/tool.ts';
import type { Seal } from '../seal.ts';
import type { Answers } from '../store/answers.ts';
import type { Audience } from '../store/audience.ts';
import type { LogHub } from '../store/follow.ts';
import type { Imports } from '../store/imports.ts';
import type { PhotoRelay } from '../store/relay.ts';
import type { ObjectStore } from '../store/objects.ts';
import type { RunStore } from '../store/runs.ts';
import type { Trial } from '../store/trial.ts';
import type { WriteRefusal } from '../store/write-probe.ts';
import type { Figures } from '../api/ops/figures.ts';
import type { Pressure } from './admission.ts';

/** A model as `/models` lists it. */
export interface ModelObject {
  readonly id: string;
  readonly object: 'model';
  readonly created: number;
  readonly owned_by: string;
}

/** What this process needs around it, and how it is. */
export interface Readiness {
  /** Redis answers. */
  readonly redis: boolean;
  /** Why Redis takes no writes, or null. */
  readonly refusal: WriteRefusal | null;
  /** How many workers are alive. */
  readonly workers: number;
  /** How far this machine's clock is ahead of Redis'. */
  readonly skewMs: number;
}

export interface Services {
  readonly runs: RunStore;
  readonly objects: ObjectStore;
  readonly hub: LogHub;
  readonly imports: Imports;
  readonly answers: Answers;
  /** Bounds what projects keep whose key no model has answered yet. */
  readonly trial: Trial;
  /** The tools this server has, and how they are run. */
  readonly plugins: Plugins;
  readonly runTool: RunTool;
  readonly photos: PhotoRelay;
  readonly audience: Audience;
  /** Seals secrets of requests; null when the operator has set no SECRET. */
  readonly seal: Seal | null;
  readonly models: () => Promise<readonly ModelObject[]>;
  /** Whether a name stands for a model, or may. */
  readonly knowsModel: (name: string) => Promise<boolean>;
  readonly readiness: () => Promise<Readiness>;
  /** Admits runs and streams, or refuses them. */
  readonly pressure: Pressure;
  readonly figures: Figures;
  readonly now: Clock;
  /** Unix milliseconds, where seconds are too coarse. */
  readonly nowMs: () => number;
  readonly settings: RunSettings;
}

/** The parts of the configuration that shape answers. */
export interface RunSettings {
  /** A run's whole life, where its metadata does not ask for less. */
  readonly runExpiresAfterS: number;
  readonly pollAfterMs: number;
  /** How long after outputs were submitted a run that asks anew is shown as queued. */
  readonly pollGraceMs: number;
  readonly parallelToolCalls: boolean;
  /** The content of one message, or the outputs of one submission. */
  readonly messageLimitBytes: number;
  /** The messages of one request without a thread. */
  readonly promptLimitBytes: number;
}

/** What endpoints are given to work with: the means of turns, and what only the HTTP server needs. */
import type { Tally } from '../../metrics.ts';
import type { RunTool } from '../../runs/tool.ts';
import type { Imports } from '../../store/imports.ts';
import type { UsageCounts } from '../../store/usage.ts';
import type { WriteRefusal } from '../../store/write-probe.ts';
import type { Caller } from '../../turns/caller.ts';
import type { Means } from '../../turns/means.ts';

/** A model as `/models` lists it. */
export interface ListedModel {
  readonly id: string;
  readonly object: 'model';
  readonly created: number;
  readonly owned_by: string;
}

/** The state of everything that this process depends on. */
export interface Readiness {
  /** Redis answers. */
  readonly redis: boolean;
  /** Why Redis takes no writes, or null. */
  readonly refusal: WriteRefusal | null;
  /** How many workers are alive. */
  readonly workers: number;
  /** How far this machine's clock is ahead of that of Redis. */
  readonly skewMs: number;
}

export interface Services extends Means {
  readonly imports: Imports;
  readonly usage: UsageCounts;
  /** Runs one of the server's tools. */
  readonly runTool: RunTool;
  /** The models that a caller may name. */
  readonly models: (caller: Pick<Caller, 'key' | 'upstreamKey'>) => Promise<readonly ListedModel[]>;
  readonly readiness: () => Promise<Readiness>;
  /** The text of `/metrics`, and the count of answered requests by status. */
  readonly figures: { readonly requests: Tally; readonly text: () => Promise<string> };
}

/**
 * The one write of a run: what events do to it goes through commit.lua here, whoever writes them, with what waits to join its
 * thread (steering.ts), its job, and its place among the open runs.
 */
import type { RunEvent } from '../runs/event.ts';
import { isQueued, isTerminal, type RunState } from '../runs/run.ts';
import { commitCall, lockMove, logLifeMs, replyOf, type Commit } from './commit-script.ts';
import { encodeRun } from './compact.ts';
import type { RunRef } from './keys.ts';
import { fold } from './projection.ts';
import { isSharded } from './redis.ts';
import { logFields, report } from './report.ts';
import { BegunJob, jobOf } from './run-jobs.ts';
import type { RunStoreOptions, StoredRun } from './runs.ts';
import {
  newVersion,
  NONE_WAITING,
  steered,
  takesIn,
  waitingIn,
  type Joining,
  type WaitingItems,
} from './steering.ts';

/** What is to be written to a run. */
export interface RunWrite {
  readonly ref: RunRef;
  /** The run as it was read; null to create it. */
  readonly before: StoredRun | null;
  readonly events: readonly RunEvent[];
  /** What is written besides, in the words of commit.lua. */
  readonly extraWrites?: readonly string[];
  /** Whether the log must have no more events than were read. */
  readonly exact?: boolean;
  /** Whether the worker writes that executes the run. */
  readonly worker?: boolean;
  /** Whether a run that is left queued gets its job. */
  readonly withJob?: boolean;
  /** Of a run that is created: what the counter of its thread's places must have come to. */
  readonly expectedOrder?: string;
}

export type CommitOutcome =
  | {
      readonly type: 'committed';
      readonly stored: StoredRun;
      /** How many events were written. */
      readonly count: number;
      /** What has joined the thread. */
      readonly joined: readonly Joining[];
    }
  | { readonly type: 'conflict' }
  | { readonly type: 'gone' }
  | { readonly type: 'gone on' }
  | { readonly type: 'locked'; readonly runId: string };

type Tried =
  | CommitOutcome
  | { readonly type: 'waiting'; readonly waiting: WaitingItems }
  | { readonly type: 'cold' };

/** What a run is to become. */
interface NextState {
  readonly state: RunState;
  readonly version: string;
  readonly doc: string;
  readonly events: readonly RunEvent[];
  /** In the words of commit.lua. */
  readonly writes: readonly string[];
}

/** What there is of a run before it is created. */
const NOTHING = { state: null, version: '', seq: 0 };

export class RunCommits {
  readonly #options: RunStoreOptions;

  constructor(options: RunStoreOptions) {
    this.#options = options;
  }

  async send(write: RunWrite): Promise<CommitOutcome> {
    let waiting = NONE_WAITING;
    for (;;) {
      const tried = await this.#try(write, waiting);
      if (tried.type === 'waiting') ({ waiting } = tried);
      else if (tried.type !== 'cold') return tried;
    }
  }

  async #try(write: RunWrite, waiting: WaitingItems): Promise<Tried> {
    const { ref, before, events: given, worker = false, withJob } = write;
    const { redis, keys, open, queue, contents, now } = this.#options;
    const held = before ?? NOTHING;
    const taken = steered(given, waiting, worker, now());
    const { events } = taken;
    const { state, writes } = fold(held.state, events);
    const version = newVersion();
    const doc = isTerminal(state.run) ? await contents.documentOf(ref, state) : encodeRun(state);
    const stating = { state, version, doc, events, writes: [...writes, ...taken.writes] };
    const committing = redis.commit(...commitCall(keys, ref, this.#commitOf(write, waiting, stating)));
    const isLeftQueued = isQueued(state.run);
    const expected: StoredRun = { ref, state, version, seq: held.seq + events.length };
    // Behind the commit: a job that overtook it would find nothing to do.
    const job =
      withJob === true && isLeftQueued
        ? new BegunJob(queue, jobOf(expected, doc.length), !isSharded(redis))
        : null;
    // The index of open runs lives in another slot, so it cannot be part of the commit. Written with it, it may name a
    // run that was never created, which costs the sweeper one look; the other way round a run could be forgotten.
    const noting = isLeftQueued ? open.add(ref, state.run.expires_at) : null;
    const [reply] = await Promise.all([committing, noting]);
    const [code, detail] = replyOf(reply);
    const stored: StoredRun = { ref, state, version, seq: Number(detail) };
    switch (code) {
      case 1:
        report(stored, events, this.#options);
        if (isTerminal(state.run)) this.#forget(ref);
        this.reportJob(stored, await job?.committed());
        return { type: 'committed', stored, count: events.length, joined: waiting.items };
      case -1:
        return { type: 'gone' };
      case -2:
        // The caller may try again with the same run.
        await job?.refused();
        return { type: 'locked', runId: String(detail) };
      case -3:
        await job?.refused();
        return { type: 'gone on' };
      case -4:
        await job?.refused();
        await this.#options.cold.bringBack(ref, String(detail));
        return { type: 'cold' };
      case -5:
        await job?.refused();
        return { type: 'waiting', waiting: waitingIn(String(detail), ref) };
      default:
        return { type: 'conflict' };
    }
  }

  #commitOf(
    { before, events: given, extraWrites = [], exact, worker, expectedOrder = '' }: RunWrite,
    waiting: WaitingItems,
    { state, version, doc, events, writes }: NextState,
  ): Commit {
    const { keys, now, logKeptS } = this.#options;
    return {
      expectedVersion: before?.version ?? '',
      version,
      expectedSeq: before !== null && exact === true ? before.seq : expectedOrder,
      doc,
      lock: lockMove(before === null, state),
      takes: before !== null && takesIn(given) ? waiting.bytes : '',
      logLifeMs: logLifeMs(state, now(), logKeptS),
      changesChannel: worker === true || before === null ? '' : keys.changes,
      ephemeral: state.origin.ephemeral ? '1' : '',
      events: events.map((event) => JSON.stringify(event)),
      writes: [...extraWrites, ...writes],
    };
  }

  /** @param err why the job of a run could not be added; undefined when it was */
  reportJob({ ref, state }: StoredRun, err: unknown): void {
    if (err === undefined) return;
    // The run is safely stored, so the request has succeeded: the sweeper finds a queued run without a job.
    this.#options.log.warn({ err, ...logFields(ref, state) }, 'could not enqueue; the sweeper will');
  }

  /** The run need not be looked at again. Nothing waits for this: where it fails, the sweeper looks, and forgets the run then. */
  #forget(ref: RunRef): void {
    this.#options.open.forget(ref).catch((err: unknown) => {
      this.#options.log.debug({ err, run_id: ref.runId }, 'could not forget a run; the sweeper will');
    });
  }
}

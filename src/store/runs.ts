/**
 * Runs in Redis: read them, create them, commit to them. `commit` is for the worker that executes a run, `change` for
 * all others; both go through commit.lua, or fragments.lua where there is nothing else to write. A run that is left queued
 * gets its job here, behind its state: in the same tick where commands keep their order, else when the state is written.
 */
import { isDelta, type RunEvent } from '../runs/event.ts';
import { isKnown } from '../runs/format.ts';
import { type Clock } from '../runs/ids.ts';
import { ending, release, type Ending } from '../runs/ending.ts';
import {
  apply,
  applyAll,
  isBlocked,
  isCancelling,
  isExecuting,
  isOverdue,
  isQueued,
  isTerminal,
  type RunState,
} from '../runs/run.ts';
import type { Metadata, Run } from '../runs/thread.ts';
import type { ColdThreads } from './cold-threads.ts';
import type { Contents } from './contents.ts';
import type { Damage } from './damage.ts';
import { FragmentLog } from './fragments.ts';
import { readItem } from './item.ts';
import { decode, Unreadable } from './json.ts';
import type { RedisKeys, RunRef, ThreadRef } from './keys.ts';
import { readLog } from './log.ts';
import { beginGrace, GRACE_FIELD, readGrace, type Shown } from './poll-grace.ts';
import { creationWrites, type Created, type NewRun } from './new-run.ts';
import type { OpenRuns } from './open-runs.ts';
import type { RecentRuns } from './recent-runs.ts';
import type { JobQueue } from './queue.ts';
import { RunCommits, type CommitOutcome } from './run-commits.ts';
import { BegunJob, jobOf, type RunJob } from './run-jobs.ts';
import type { ScriptedRedis } from './scripts.ts';
import type { ThreadIndex } from './thread-index.ts';
import { logFields, type RunObserver } from './report.ts';
import { isSteerable, MOST_WAITING, steerArgs, type Joining } from './steering.ts';

/** A run as it is stored. */
export interface StoredRun {
  readonly ref: RunRef;
  /** While a worker executes the run, an open message may lack its last fragments; {@link RunStore.replay} has them. */
  readonly state: RunState;
  /** The fence: opaque, replaced by every transition, compared for equality only. */
  readonly version: string;
  /** Sequence number of the last event in the log. */
  readonly seq: number;
}

/** A run after a commit. */
export interface CommittedRun extends StoredRun {
  /** What has joined its thread in the commit; missing where nothing has. */
  readonly joined?: readonly Joining[];
}

/** A run, and what is hung on it besides. */
export interface ReadRun extends Shown {
  readonly stored: StoredRun;
}

/** The run was changed since it was read (`conflict`), or it was deleted with its thread (`gone`). */
export class Refused extends Error {
  readonly why: 'conflict' | 'gone';

  constructor(why: 'conflict' | 'gone', ref: RunRef) {
    super(`the commit to run ${ref.runId} was refused: ${why}`);
    this.name = 'Refused';
    this.why = why;
  }
}

export interface RunStoreOptions extends RunObserver {
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  readonly queue: JobQueue<RunJob>;
  readonly open: OpenRuns;
  readonly threadIndex: ThreadIndex;
  readonly recentRuns: RecentRuns;
  readonly damage: Damage;
  readonly contents: Contents;
  readonly cold: ColdThreads;
  readonly now: Clock;
  /** How long the log of an ended run stays readable. */
  readonly logKeptS: number;
  /** Whether a replica has what was written to a run; null where nothing waits for that. */
  readonly confirm: ((ref: RunRef) => Promise<boolean>) | null;
}

/** How often a change is tried again after a lost race; each loss means that others made progress. */
const MAX_CHANGE_TRIES = 20;
/** In how many runs of a thread a message is looked for. */
const LOOKED_BACK = 20;

export class RunStore {
  readonly #options: RunStoreOptions;
  readonly #fragments: FragmentLog;
  readonly #commits: RunCommits;

  constructor(options: RunStoreOptions) {
    this.#options = options;
    this.#commits = new RunCommits(options);
    this.#fragments = new FragmentLog(options.redis, options.keys);
  }

  /** Creates a run, its messages and its thread's lock in one step, then its job. */
  async create(project: string, made: NewRun): Promise<Created> {
    const { run, origin, messages, thread, expectedOrder } = made;
    const ref: RunRef = { project, threadId: run.thread_id, runId: run.id };
    const joined = messages.length === 0 ? {} : { messages: messages.map(({ id }) => id) };
    const events: RunEvent[] = [{ type: 'run.queued', at: run.created_at, run, origin, ...joined }];
    const { threadIndex, recentRuns } = this.#options;
    const how = thread === null ? 'used' : 'made';
    const use = origin.ephemeral ? null : threadIndex[how](ref);
    const sent = this.#commits.send({
      ref,
      before: null,
      events,
      extraWrites: creationWrites(made),
      withJob: true,
      ...(expectedOrder !== undefined && { expectedOrder }),
    });
    const [answer] = await Promise.all([sent, use, recentRuns.add(ref)]);
    if (NOT_CREATED.has(answer.type)) recentRuns.forgetLater(ref);
    if (answer.type === 'locked' || answer.type === 'gone on') return answer;
    if (answer.type === 'gone') {
      threadIndex.forgetLater(ref);
      return { type: 'no thread' };
    }
    const stored = answer.type === 'committed' ? answer.stored : await this.#createdBefore(ref);
    return { type: 'created', stored, confirmed: await this.#confirmed(ref) };
  }

  /** The run that an earlier sending of the same request has created: only that request knows its id. */
  async #createdBefore(ref: RunRef): Promise<StoredRun> {
    const found = await this.get(ref);
    if (found === null) throw new Refused('gone', ref);
    if (isQueued(found.stored.state.run)) await this.enqueue(found.stored);
    return found.stored;
  }

  /**
   * One read. @returns null when there is no such run in this project and thread.
   * @throws {NewerFormat} for a run of a newer version of this service, and {Unreadable} for one that is damaged, as
   *   everything does that reads a run.
   */
  async get(ref: RunRef): Promise<ReadRun | null> {
    const fields = ['doc', 'version', 'seq'];
    const wanted = { docs: this.#options.keys.run(ref), fields, labels: [ref.runId, GRACE_FIELD] };
    const [doc, version, seq, labels = null, grace = null] = await readItem(this.#options, ref, wanted);
    if (!doc || !version || !seq) return null;
    const { damage, contents } = this.#options;
    const state = await damage.run(ref, doc, await contents.of(ref, doc));
    const stored = { ref, state, version, seq: Number(seq) };
    const given = damage.skip(() => decode<Metadata>(labels, `labels of ${ref.runId}`));
    return { stored, labels: given, grace: readGrace(grace) };
  }

  /** As {@link get}, but a run whose time is over is ended first: `requires_action` is never read past its expiry. */
  async current(ref: RunRef): Promise<ReadRun | null> {
    const found = await this.get(ref);
    if (found === null || !isLeft(found.stored.state.run, this.#options.now())) return found;
    const stored = await this.close(ref, { type: 'expired' });
    return stored === null ? null : { ...found, stored };
  }

  /** Does what the time asks of a run that holds a thread: ends it when it is over, gives it up when it cannot be read. */
  async attend(ref: RunRef): Promise<void> {
    await this.current(ref).catch(nothingIfUnreadable);
  }

  /**
   * The run with everything its log says, folded from the first event. It is needed to close a run that a worker
   * has been writing. Where the log's beginning has expired or cannot be read, the run as it is stored. @returns null when it is gone.
   */
  async replay(ref: RunRef): Promise<StoredRun | null> {
    const { redis, keys } = this.#options;
    // Both commands leave together, run before log: events that come between them make a conflict, not a hole.
    const [found, entries] = await Promise.all([
      this.get(ref),
      readLog(redis, keys, ref, 1).catch(nothingIfUnreadable),
    ]);
    if (found === null || entries[0]?.seq !== 1) return found?.stored ?? null;
    const { stored } = found;
    let state: RunState | null = null;
    let seq = 0;
    for (const entry of entries) {
      if (entry.seq > stored.seq) break;
      if (isKnown(entry.event)) state = apply(state, entry.event).state;
      seq = entry.seq;
    }
    return state === null ? stored : { ...stored, state, seq };
  }

  /**
   * Commits events of the worker that executes the run. Deltas keep the version; everything else replaces it. Where something
   * waits to join the thread, the run may go on instead of completing.
   * @throws {Refused} when the run is no longer this worker's, or gone: whatever was not committed never happened.
   */
  async commit(held: StoredRun, events: readonly RunEvent[]): Promise<CommittedRun> {
    if (events.every(isDelta)) return this.#append(held, events);
    const stored = this.#settle(
      held,
      await this.#commits.send({ ref: held.ref, before: held, events, exact: true, worker: true }),
    );
    if (isTerminal(stored.state.run) && !(await this.#confirmed(stored.ref)))
      this.#options.log.warn(
        logFields(stored.ref, stored.state),
        'no replica has confirmed the end of a run',
      );
    return stored;
  }

  /**
   * Changes a run on behalf of a client or the sweeper, and enqueues it where the change leaves it queued. `decide`
   * sees the run as it is and says the events, or null to leave it alone; it is asked again when another was faster.
   * It must not close a message (use {@link close}). What `decide` throws is thrown.
   * @param graceUntilMs until when whoever polls is not shown what the run may ask next (poll-grace.ts); 0: it is shown
   * @returns the run afterwards and the seq before its new events; null when there is no such run.
   */
  async change(
    ref: RunRef,
    decide: (stored: StoredRun) => readonly RunEvent[] | null,
    graceUntilMs = 0,
  ): Promise<(ReadRun & { readonly after: number }) | null> {
    for (let tries = 0; tries < MAX_CHANGE_TRIES; tries++) {
      const found = await this.get(ref);
      if (found === null) return null;
      const events = decide(found.stored);
      if (events === null) return { ...found, after: found.stored.seq };
      if (graceUntilMs > 0) await this.grace(ref, graceUntilMs);
      const answer = await this.#commits.send({ ref, before: found.stored, events, withJob: true });
      if (answer.type === 'committed')
        return { ...found, stored: answer.stored, after: answer.stored.seq - answer.count };
      if (answer.type === 'gone') return null;
    }
    throw new Refused('conflict', ref);
  }

  /** Shows the run as queued until then to whoever polls it, should it wait for its client (poll-grace.ts). */
  async grace(ref: RunRef, untilMs: number): Promise<void> {
    await beginGrace(this.#options.redis, this.#options.keys, ref, untilMs);
  }

  /**
   * Ends a run in whatever state it is, with everything its readers have heard so far. A run that has ended already
   * stays as it is. @returns the run afterwards, or null when it is gone.
   */
  async close(ref: RunRef, how: Ending): Promise<StoredRun | null> {
    return this.#rewrite(ref, ({ state }) => {
      // A cancel that was accepted a moment ago wins over the clock.
      const overtaken = how.type === 'expired' && isCancelling(state.run);
      return ending(state, overtaken ? { type: 'cancelled' } : how, this.#options.now());
    });
  }

  /**
   * Gives a run that its worker lost back to the queue: what was half said is dropped. A run that is not being executed
   * (any more: another may have been faster) stays as it is. @returns the run afterwards, or null when it is gone.
   */
  async giveBack(ref: RunRef, reason: 'shutdown' | 'lost'): Promise<StoredRun | null> {
    return this.#rewrite(ref, ({ state }) =>
      isExecuting(state.run) ? release(state, reason, this.#options.now()) : null,
    );
  }

  /**
   * Has messages and items wait until the run takes them in: before the model is asked next, or as it ends.
   * @returns the run, and whether a replica has them; `over` when it has ended, or is about to; `full` when too many wait
   */
  async steer(
    ref: RunRef,
    items: readonly Joining[],
  ): Promise<{ readonly stored: StoredRun; readonly confirmed: boolean } | 'over' | 'full'> {
    const { redis, keys } = this.#options;
    for (let tries = 0; tries < MAX_CHANGE_TRIES; tries++) {
      const stored = (await this.current(ref))?.stored;
      if (stored === undefined) return 'over';
      const isOpen = isOpenTo(stored);
      const version = isOpen ? stored.version : '';
      const code = await redis.steer(1, keys.run(ref), version, MOST_WAITING, ...steerArgs(items));
      if (code === -2) return 'full';
      if (code === 1) {
        // No worker has it, so nobody else would take them in for now.
        const taken = await this.change(ref, ({ state: { run } }) =>
          isQueued(run) || isBlocked(run) ? [] : null,
        );
        return { stored: taken?.stored ?? stored, confirmed: await this.#confirmed(ref) };
      }
      if (!isOpen) return 'over';
    }
    throw new Refused('conflict', ref);
  }

  /** The run, among the newest of its thread, for which a message or item came to wait; null where there is none. */
  async steeredBy(ref: ThreadRef, id: string): Promise<RunRef | null> {
    const { redis, keys } = this.#options;
    const runIds = await redis.zrevrange(keys.runs(ref), 0, LOOKED_BACK - 1);
    const steers = await Promise.all(
      runIds.map(async (runId) => redis.hget(keys.run({ ...ref, runId }), 'steers')),
    );
    const runId = runIds[steers.findIndex((ids) => ids?.includes(` ${id} `) === true)];
    return runId === undefined ? null : { ...ref, runId };
  }

  /** Adds the job of a run that may have none; an existing job stays as it is. */
  async enqueue(stored: StoredRun): Promise<void> {
    const job = new BegunJob(this.#options.queue, jobOf(stored), false);
    this.#commits.reportJob(stored, await job.committed());
  }

  async #confirmed(ref: RunRef): Promise<boolean> {
    return this.#options.confirm === null || this.#options.confirm(ref);
  }

  async #rewrite(
    ref: RunRef,
    decide: (stored: StoredRun) => readonly RunEvent[] | null,
  ): Promise<StoredRun | null> {
    for (let tries = 0; tries < MAX_CHANGE_TRIES; tries++) {
      const stored = await this.replay(ref);
      if (stored === null || isTerminal(stored.state.run)) return stored;
      const events = decide(stored);
      if (events === null) return stored;
      const answer = await this.#commits.send({ ref, before: stored, events, exact: true });
      if (answer.type === 'committed') return answer.stored;
      if (answer.type === 'gone') return null;
    }
    // A worker is writing faster than we can read: the run is well alive, and its worker minds the clock itself.
    return (await this.get(ref))?.stored ?? null;
  }

  /** Runs for every few words of every answer. */
  async #append(held: StoredRun, events: readonly RunEvent[]): Promise<CommittedRun> {
    const { ref, version } = held;
    const state = applyAll(held.state, events);
    const answer = await this.#fragments.append(
      held,
      events.map((event) => JSON.stringify(event)),
    );
    if (typeof answer === 'number') return { ref, state, version, seq: answer };
    return this.#settle(held, { type: answer });
  }

  #settle(held: StoredRun, answer: CommitOutcome): CommittedRun {
    if (answer.type === 'committed')
      return answer.joined.length === 0 ? answer.stored : { ...answer.stored, joined: answer.joined };
    this.#options.count?.('refused');
    throw new Refused(answer.type === 'gone' ? 'gone' : 'conflict', held.ref);
  }
}

const NOT_CREATED: ReadonlySet<CommitOutcome['type']> = new Set(['locked', 'gone', 'gone on']);

function nothingIfUnreadable(error: unknown): [] {
  if (error instanceof Unreadable) return [];
  throw error;
}

/** The run was not ended in its time, or not closed after a cancel: the process that notices does it. */
function isLeft(run: Run, now: number): boolean {
  return isOverdue(run, now) || (isCancelling(run) && run.expires_at !== null && now >= run.expires_at);
}

/** Whether a run will take in what waits for it: one that a process of an older version executes would not. */
function isOpenTo({ state: { run }, version }: StoredRun): boolean {
  return !isTerminal(run) && !isCancelling(run) && (!isExecuting(run) || isSteerable(version));
}

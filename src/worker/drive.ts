/**
 * Executes one run that this worker has started: reads the history for its prompt, commits what the model says, and
 * decides what becomes of a run that is stopped on the way. run-job.ts decides which runs are executed; its invariants
 * W2 and W3 are kept here.
 */
import type { Logger } from '../log.ts';
import { failedBy } from '../runs/ending.ts';
import type { RunEvent } from '../runs/event.ts';
import { execute, type Joined } from '../runs/execute.ts';
import type { Clock, NewId } from '../runs/ids.ts';
import type { Model } from '../runs/model.ts';
import { isCancelling, isTerminal, type RunState } from '../runs/run.ts';
import type { RunRemote } from '../runs/remote.ts';
import type { RunError, ThreadItem } from '../runs/thread.ts';
import type { RunTool } from '../runs/tool.ts';
import { HistoryTooLarge, type HistoryReading, type PromptCut } from '../store/history.ts';
import type { RunRef } from '../store/keys.ts';
import type { Lease } from '../store/lease.ts';
import type { Objects } from '../store/objects.ts';
import type { JobOutcome } from '../store/queue.ts';
import { isUnavailable } from '../store/away.ts';
import { logFields } from '../store/report.ts';
import { Refused, type CommittedRun, type RunStore, type StoredRun } from '../store/runs.ts';
import { Beat } from './beat.ts';
import { Commits } from './commits.ts';
import type { HostedTools } from './hosted.ts';
import { timedCommit, timedTools, type WorkerMeasures } from './own-figures.ts';
import type { Pictures } from './pictures.ts';
import type { Room, RoomShare } from './room.ts';
import type { RunTraces } from './run-traces.ts';
import { tracedTools } from './traced-tools.ts';

export interface DriveOptions {
  readonly runs: RunStore;
  readonly objects: Objects;
  readonly lease: Pick<Lease, 'survived'>;
  readonly model: Model;
  readonly runTool: RunTool;
  readonly runRemote: RunRemote;
  readonly hosted: HostedTools;
  /** The sensitive variables among the sealed secrets of a run. */
  readonly secretsIn: (sealed: string) => Readonly<Record<string, string>>;
  readonly measures: WorkerMeasures;
  readonly traces: Pick<RunTraces, 'call'>;
  readonly log: Logger;
  readonly now: Clock;
  readonly nowMs: () => number;
  readonly newId: NewId;
  /** What the context of any model holds at most. */
  readonly contextTokens: number;
  /** How much of a thread is read for one prompt. */
  readonly promptLimitBytes: number;
  /** Those that are files. */
  readonly pictures: Pictures;
  /** Memory for large prompts: a worker has many runs, and the photos of a few could fill its memory. */
  readonly room: Room;
  /**
   * A model has begun to answer a request of this project that was made with its caller's secrets, for example the
   * caller's own key.
   */
  readonly onAnswer: (project: string) => void;
}

/** Why an execution stops before its end. */
export class Stop extends Error {
  readonly why: 'changed' | 'expired' | 'shutdown';

  constructor(why: Stop['why']) {
    super(`the execution stops: ${why}`);
    this.name = 'Stop';
    this.why = why;
  }
}

/** Ends what still runs for a turn that is over. Made once, because the stack of an error costs more than the rest. */
const TURN_OVER = new Stop('changed');
/** About this many copies of a prompt exist while it is read and sent; while the model answers, there is one. */
const PROMPT_COPIES = 4;
/** The largest prompt is sent within this time, unless the network is slower than 100 Mbit/s. */
const SENT_AFTER_MS = 3_000;
/** Nearly all prompts are smaller, and do not wait for each other. */
const LARGE_PROMPT_BYTES = 1024 * 1024;

/** Executes runs that this worker has started. */
export class Driver {
  readonly #options: DriveOptions;
  /** Of all runs of this process. */
  readonly #beat = new Beat();

  constructor(options: DriveOptions) {
    const tools = tracedTools(timedTools(options, options.measures), options.traces);
    this.#options = { ...options, ...tools };
  }

  /** What a model's context holds: what is set for all, or less where the model is known to take less. */
  #contextOf(name: string, backendId: string | null, sealed: string | null): number {
    const { contextTokens, model } = this.#options;
    return model.contextTokens?.(name, backendId, contextTokens, sealed) ?? contextTokens;
  }

  /** Begins to read the history of a run, in this tick. What is large is not read before there is room. */
  openHistory(ref: RunRef): HistoryReading {
    return this.#open(ref, LARGE_PROMPT_BYTES);
  }

  #open(ref: RunRef, largeBytes: number): HistoryReading {
    const maxBytes = this.#options.promptLimitBytes;
    return this.#options.objects.histories.open(ref, { maxBytes, largeBytes });
  }

  /** What the prompts of a run are cut to, or more. */
  #cutOf({ run, origin }: RunState): PromptCut {
    const contextTokens = this.#contextOf(run.model, origin.backend_id, origin.sealed);
    return {
      maxTokens: Math.min(contextTokens, run.max_prompt_tokens ?? Infinity),
      lastMessages: run.truncation_strategy.last_messages,
    };
  }

  /**
   * Executes a run that has been started, until it rests or is stopped.
   * @param history for its prompt
   */
  async drive(
    started: CommittedRun,
    history: HistoryReading,
    controller: AbortController,
  ): Promise<JobOutcome> {
    const { runs, log } = this.#options;
    const { ref, state } = started;
    const timer = this.#expireIn(state.run.expires_at, controller);
    let share: RoomShare | null = null;
    let sent: NodeJS.Timeout | undefined;
    try {
      const commits = new Commits(started, {
        commit: timedCommit(runs, this.#options.measures),
        beat: this.#beat,
        onFailure: (error) => controller.abort(error),
      });
      const contextTokens = this.#contextOf.bind(this);
      const { hosted } = this.#options;
      const context = {
        ...this.#options,
        runHosted: hosted.run,
        contextTokens,
        signal: controller.signal,
        lane: commits,
        joined: async () => this.#shown(ref, commits.joined()),
      };
      const cut = this.#cutOf(state);
      const { pictures, promptLimitBytes, room } = this.#options;
      let material = await history.within(cut);
      if (material === null) {
        share = await room.take(promptLimitBytes, controller.signal);
        material = await this.#open(ref, Infinity).within(cut);
        if (material === null) throw new Error('nothing is larger than that');
      }
      // What the start of the run has taken in, which came too late to be read with the rest.
      material = { ...material, items: withJoined(material.items, started.joined ?? []) };
      const files = await pictures.find(ref, material.items);
      if (files !== null) {
        const bytes = Math.min(material.bytes + files.bytes, promptLimitBytes);
        if (bytes > LARGE_PROMPT_BYTES) share ??= await room.take(bytes, controller.signal);
        material = await pictures.show(ref, material, files, promptLimitBytes);
      }
      share?.shrink(material.bytes);
      sent = share?.shrinkAfter(SENT_AFTER_MS, material.bytes / PROMPT_COPIES);
      for await (const events of execute(state, material, context)) {
        const isAnswer = events.some(isOfModel);
        if (isAnswer && state.origin.sealed !== null) this.#options.onAnswer(started.ref.project);
        await commits.push(events);
      }
      await commits.settled();
      return 'done';
    } catch (error) {
      if (error instanceof Stop) return await this.#stopped(error.why, started);
      if (error instanceof Refused) return await this.#stopped('changed', started);
      if (error instanceof HistoryTooLarge) {
        await runs.close(ref, failedBy(tooLarge(error)));
        return 'done';
      }
      // Neither the run's fault nor its end: the sweeper adds its job again.
      if (isUnavailable(error)) throw error;
      log.error({ err: error, ...logFields(ref, state) }, 'execution failed');
      const message = 'Sorry, something went wrong in the worker. The operator finds the reason in its log.';
      await runs.close(ref, failedBy({ code: 'server_error', message }));
      return 'done';
    } finally {
      clearTimeout(timer);
      clearTimeout(sent);
      share?.close();
      // Anything that still runs for this turn, perhaps a tool, is no longer needed.
      controller.abort(TURN_OVER);
      this.#options.hosted
        .ended(state.run.id)
        .catch((err: unknown) => log.warn({ err, run_id: state.run.id }, 'could not end the tools of a run'));
    }
  }

  /** What has joined the thread, with the pictures among it that are files. */
  async #shown(ref: RunRef, joined: Joined | null): Promise<Joined | null> {
    const { pictures, promptLimitBytes } = this.#options;
    const files = joined && (await pictures.find(ref, joined.items));
    if (files === null || joined === null) return joined;
    const { items } = await pictures.show(
      ref,
      { input: [], items: joined.items, bytes: 0 },
      files,
      promptLimitBytes,
    );
    return { ...joined, items };
  }

  /** W2, W3: what to do with a run whose execution was stopped. */
  async #stopped(why: Stop['why'], { ref }: StoredRun): Promise<JobOutcome> {
    const { runs, log } = this.#options;
    switch (why) {
      case 'expired':
        await runs.close(ref, { type: 'expired' });
        return 'done';
      case 'shutdown':
        await runs.giveBack(ref, 'shutdown');
        return 'handed over';
      case 'changed': {
        const found = await runs.get(ref);
        if (found === null || isTerminal(found.stored.state.run)) return 'done';
        if (isCancelling(found.stored.state.run)) await runs.close(ref, { type: 'cancelled' });
        // Another worker took us for dead. If we die later, that must not count against this run.
        else
          await this.#options.lease
            .survived(ref.runId)
            .catch((err: unknown) =>
              log.warn({ err, run_id: ref.runId }, 'could not note that a run was lost by a living worker'),
            );
        return 'done';
      }
    }
  }

  #expireIn(expiresAt: number | null, controller: AbortController): NodeJS.Timeout | undefined {
    if (expiresAt === null) return undefined;
    return setTimeout(
      () => controller.abort(new Stop('expired')),
      Math.max(0, expiresAt * 1000 - this.#options.nowMs()),
    );
  }
}

function withJoined(items: readonly ThreadItem[], joined: readonly ThreadItem[]): readonly ThreadItem[] {
  if (joined.length === 0) return items;
  const known = new Set(items.map(({ id }) => id));
  return [...items, ...joined.filter(({ id }) => !known.has(id))];
}

/** Whether a model has said it: calls that were approved are made without one. */
function isOfModel(event: RunEvent): boolean {
  return event.type === 'message.created' || (event.type === 'tool.called' && event.approval === undefined);
}

function tooLarge({ maxBytes }: HistoryTooLarge): RunError {
  const message = `The question and what this run has done already take more than ${maxBytes} bytes, the most that a prompt may have on this server. Send smaller pictures or tool outputs, or ask its operator to raise PROMPT_LIMIT_BYTES.`;
  return { code: 'invalid_prompt', message };
}

/** Every run begins here, whatever protocol asked for it: it is made, admitted, bounded, and created in its thread. */
import { ApiError, echo, notFound } from '../errors.ts';
import { demandedTool, offeredTools, toolName } from '../runs/calls/kinds.ts';
import { PLAIN_ORIGIN, type RunOrigin } from '../runs/event.ts';
import { queuedRun } from '../runs/parts.ts';
import type { Run } from '../runs/thread.ts';
import type { RunRef } from '../store/keys.ts';
import type { NewRun } from '../store/new-run.ts';
import type { StoredRun } from '../store/runs.ts';
import { jsonBytes } from './budgets.ts';
import type { Caller } from './caller.ts';
import { cancelRun } from './changes.ts';
import type { Means } from './means.ts';
import { Unconfirmed } from './repeat.ts';
import { admitWrite } from './trial-writes.ts';

/** How often this tries to create a run in a thread where other runs come and go. */
const MAX_TRIES = 20;

/** The ids of a run and of its thread. */
export interface RunIds {
  readonly runId: string;
  readonly threadId: string;
}

/** A run as a protocol asks for it. Every protocol reads its own requests into this. */
export interface RunRequest extends Pick<
  Run,
  | 'assistant_id'
  | 'model'
  | 'instructions'
  | 'tools'
  | 'metadata'
  | 'temperature'
  | 'top_p'
  | 'reasoning_effort'
  | 'max_completion_tokens'
  | 'max_prompt_tokens'
  | 'truncation_strategy'
  | 'response_format'
  | 'tool_choice'
> {
  /** Null: the operator's setting applies. */
  readonly parallelToolCalls: boolean | null;
  /** The run's whole life, in seconds. */
  readonly lifetimeS: number;
  /** What sets it apart from a plain run. */
  readonly origin: Partial<Omit<RunOrigin, 'project' | 'request_id'>>;
}

/**
 * The run that is asked for, not yet stored. It holds everything it needs, so later changes of its assistant do not
 * affect it.
 * @throws {ApiError} 400 for a tool choice that the tools cannot satisfy.
 */
export function newRun(
  { now, settings }: Pick<Means, 'now' | 'settings'>,
  { project, requestId, traceparent }: Pick<Caller, 'project' | 'requestId' | 'traceparent'>,
  { runId, threadId }: RunIds,
  { parallelToolCalls, lifetimeS, origin, ...asked }: RunRequest,
): { readonly run: Run; readonly origin: RunOrigin } {
  checkToolChoice(asked.tool_choice, asked.tools);
  const at = now();
  const run = queuedRun({
    ...asked,
    id: runId,
    created_at: at,
    thread_id: threadId,
    expires_at: at + lifetimeS,
    parallel_tool_calls: parallelToolCalls ?? settings.parallelToolCalls,
  });
  const traced = traceparent === undefined ? {} : { traceparent };
  return { run, origin: { ...PLAIN_ORIGIN, project, request_id: requestId, ...traced, ...origin } };
}

/** Something has joined the thread since it was looked at, so the run was not created. */
export class ThreadGoneOn extends Error {}

/** What to do around the creation of a run. */
export interface Beginning<T> {
  /**
   * Called when another run holds the thread: makes room, or throws.
   * @param holder the run that has it
   */
  readonly whenBusy: (holder: RunRef) => Promise<void>;
  /**
   * Has the run that holds the thread take in the messages, in place of a new run. Null when that run is over; missing where it
   * is not to be steered.
   */
  readonly steer?: ((holder: RunRef) => Promise<T | null>) | undefined;
  /** What the caller is given. */
  readonly answer: (begun: StoredRun) => T;
  /** Whether the caller can ask again for a run that is not confirmed. If not, such a run is cancelled. */
  readonly comesBack: boolean;
}

/**
 * Creates a run, together with the messages that join its thread.
 * @throws {ApiError} 429 when too many runs wait for a worker, or the project has too many open; 403 for a key on trial
 *   that has no room left; 404 for a thread that does not exist; {@link Unconfirmed} for a run that could still be lost
 *   with its Redis server; {@link ThreadGoneOn} where the thread has gone on; and what `whenBusy` throws.
 */
export async function begin<T>(
  means: Means,
  caller: Caller,
  made: NewRun,
  { whenBusy, steer, answer, comesBack }: Beginning<T>,
): Promise<T> {
  const { run, origin, thread, messages } = made;
  const { project } = caller;
  means.admission.admitRun(project);
  const makes = origin.ephemeral ? (`chat:${run.thread_id}/${run.id}` as const) : (thread?.id ?? '');
  // Requests may name what is stored elsewhere, and then bring more than their text.
  const textBytes = (): number => Math.max(Buffer.byteLength(caller.text), jsonBytes(messages));
  await admitWrite(means, caller, { makes, more: run, textBytes });
  const earlier = steer === undefined ? null : await steeredEarlier(means, caller, made);
  const again = earlier && (await steer?.(earlier));
  if (again != null) return again;
  for (let tries = 0; ; tries += 1) {
    const created = await means.runs.create(project, made);
    switch (created.type) {
      case 'no thread':
        throw notFound('thread', run.thread_id);
      case 'locked': {
        const holder = { project, threadId: run.thread_id, runId: created.runId };
        const steered = (await steer?.(holder)) ?? null;
        if (steered !== null) return steered;
        await whenBusy(holder);
        if (tries < MAX_TRIES && !caller.gone.aborted) continue;
        throw tooBusy(run.thread_id);
      }
      case 'gone on':
        throw new ThreadGoneOn();
      case 'created': {
        const { stored, confirmed } = created;
        const given = answer(stored);
        if (confirmed) return given;
        if (!comesBack) await cancelRun(means, stored.ref);
        throw new Unconfirmed(stored.ref.runId, given);
      }
    }
  }
}

/** The run that an earlier sending of the same request has steered; null where none has. */
async function steeredEarlier(
  { runs }: Means,
  { project, idempotencyKey }: Caller,
  { run, messages }: NewRun,
): Promise<RunRef | null> {
  const last = messages.at(-1);
  if (idempotencyKey === null || last === undefined) return null;
  return runs.steeredBy({ project, threadId: run.thread_id }, last.id);
}

function tooBusy(threadId: string): ApiError {
  const text = `Other runs of ${threadId} came in between again and again. Try again.`;
  return new ApiError(400, text, { code: 'thread_busy' });
}

function checkToolChoice(choice: Run['tool_choice'], tools: Run['tools']): void {
  if (canChoose(choice, tools)) return;
  const text =
    typeof choice === 'object'
      ? `Tool choice '${echo(demandedTool(choice) ?? '')}' not found in 'tools' parameter.`
      : "Invalid value for 'tool_choice': 'required' needs at least one tool in 'tools'.";
  throw new ApiError(400, text, { param: 'tool_choice', code: 'invalid_value' });
}

/** Whether the tools can satisfy the choice. */
export function canChoose(choice: Run['tool_choice'], tools: Run['tools']): boolean {
  if (choice === 'required') return tools.length > 0;
  if (typeof choice !== 'object') return true;
  const name = demandedTool(choice);
  // What a choice among several names is checked by the model server.
  return name === null || offeredTools(tools).some((tool) => toolName(tool) === name);
}

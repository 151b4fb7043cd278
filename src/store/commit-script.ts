/**
 * The arguments of commit.lua by name, and its reply. The script unpacks them at its head under the same names and in the
 * same order; a test compares the two.
 */
import { isTerminal, type RunState } from '../runs/run.ts';
import type { RedisKeys, RunRef } from './keys.ts';
import type { OwnKeys, RunKeys } from './thread-keys.ts';

/** Names of KEYS. */
export const COMMIT_KEYS = [
  'run',
  'log',
  'thread',
  'active',
  'order',
  'messages',
  'messagesIndex',
  'runMessages',
  'steps',
  'runSteps',
  'toolSteps',
  'runs',
  'input',
] as const satisfies readonly (keyof OwnKeys | keyof RunKeys)[];

/** Names of ARGV before the events. */
export const COMMIT_ARGS = [
  'expectedVersion',
  'version',
  'expectedSeq',
  'doc',
  'lock',
  'takes',
  'logLifeMs',
  'eventsChannel',
  'changesChannel',
  'runId',
  'ephemeral',
  'eventCount',
] as const;

type CommitArgs = Readonly<Record<(typeof COMMIT_ARGS)[number], string | number>>;

export interface Commit extends Omit<CommitArgs, 'runId' | 'eventsChannel' | 'eventCount'> {
  /** As JSON. */
  readonly events: readonly string[];
  /** What is written beside the run, in threes: kind, id, document. */
  readonly writes: readonly string[];
}

/** What commit.lua is called with: the number of keys, the keys, the arguments. */
export function commitCall(keys: RedisKeys, ref: RunRef, commit: Commit): readonly (string | number)[] {
  const args: CommitArgs = {
    expectedVersion: commit.expectedVersion,
    version: commit.version,
    expectedSeq: commit.expectedSeq,
    doc: commit.doc,
    lock: commit.lock,
    takes: commit.takes,
    logLifeMs: commit.logLifeMs,
    eventsChannel: keys.events(ref),
    changesChannel: commit.changesChannel,
    runId: ref.runId,
    ephemeral: commit.ephemeral,
    eventCount: commit.events.length,
  };
  const named = { ...keys.ownKeys(ref), ...keys.runKeys(ref) };
  const call: (string | number)[] = [COMMIT_KEYS.length];
  for (const name of COMMIT_KEYS) call.push(named[name]);
  for (const name of COMMIT_ARGS) call.push(args[name]);
  call.push(...commit.events, ...commit.writes);
  return call;
}

/** What commit.lua returned: a code, and a number or id that belongs to it. */
export function replyOf(reply: unknown): readonly [code: unknown, detail: unknown] {
  const list: readonly unknown[] = Array.isArray(reply) ? reply : [];
  return [list[0], list[1]];
}

/** A request without a thread that failed is done anew when it is repeated, so that its run need not stay. */
const FAILED_KEPT_S = 60;

/** How long the log stays from `now` (unix seconds) on: as long as the run may live, and then some. */
export function logLifeMs({ run, origin }: RunState, now: number, logKeptS: number): number {
  const keptS = origin.ephemeral && run.failed_at !== null ? Math.min(logKeptS, FAILED_KEPT_S) : logKeptS;
  const leftS = isTerminal(run) ? 0 : Math.max(0, (run.expires_at ?? 0) - now);
  return (leftS + keptS) * 1000;
}

/** A run takes its thread's lock when it is created, and frees it when it ends. */
export function lockMove(isNew: boolean, { run }: RunState): 'take' | 'free' | '' {
  if (isNew) return 'take';
  return isTerminal(run) ? 'free' : '';
}

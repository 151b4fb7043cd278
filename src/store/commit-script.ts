/**
 * The arguments of commit.lua by name. The script unpacks them at its head under the same names and in the same order; a
 * test compares the two.
 */
import type { OwnKeys, RedisKeys, RunKeys, RunRef } from './keys.ts';

/** Names of KEYS. A commit of fragments has the first two only. */
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
  'logLifeMs',
  'eventsChannel',
  'changesChannel',
  'runId',
  'ephemeral',
  'eventCount',
] as const;

type CommitArgs = Readonly<Record<(typeof COMMIT_ARGS)[number], string | number>>;

export interface Commit extends Omit<CommitArgs, 'runId' | 'eventsChannel' | 'eventCount'> {
  /** Fragments of texts and arguments only: the run and its objects stay as they are, but for the run's `seq`. */
  readonly isFragments: boolean;
  /** As JSON. */
  readonly events: readonly string[];
  /** What is written beside the run, in threes: kind, id, document. */
  readonly writes: readonly string[];
}

/** What commit.lua is called with: the number of keys, the keys, the arguments. Runs for every few words of every answer. */
export function commitCall(keys: RedisKeys, ref: RunRef, commit: Commit): readonly (string | number)[] {
  const args: CommitArgs = {
    expectedVersion: commit.expectedVersion,
    version: commit.version,
    expectedSeq: commit.expectedSeq,
    doc: commit.doc,
    lock: commit.lock,
    logLifeMs: commit.logLifeMs,
    eventsChannel: keys.events(ref),
    changesChannel: commit.changesChannel,
    runId: ref.runId,
    ephemeral: commit.ephemeral,
    eventCount: commit.events.length,
  };
  const call: (string | number)[] = commit.isFragments
    ? [2, keys.run(ref), keys.log(ref)]
    : allKeys(keys, ref);
  for (const name of COMMIT_ARGS) call.push(args[name]);
  call.push(...commit.events, ...commit.writes);
  return call;
}

function allKeys(keys: RedisKeys, ref: RunRef): (string | number)[] {
  const own = keys.ownKeys(ref);
  const named = Object.assign(own, keys.runKeys(ref));
  const call: (string | number)[] = [COMMIT_KEYS.length];
  for (const name of COMMIT_KEYS) call.push(named[name]);
  return call;
}

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

/** What commit.lua is called with: the number of keys, the keys, the arguments. */
export function commitCall(keys: RedisKeys, ref: RunRef, commit: Commit): readonly (string | number)[] {
  const { isFragments, events, writes } = commit;
  const args: CommitArgs = {
    ...commit,
    runId: ref.runId,
    eventsChannel: keys.events(ref),
    eventCount: events.length,
  };
  const names = isFragments ? [keys.run(ref), keys.log(ref)] : allKeys(keys, ref);
  return [names.length, ...names, ...COMMIT_ARGS.map((name) => args[name]), ...events, ...writes];
}

function allKeys(keys: RedisKeys, ref: RunRef): readonly string[] {
  const named = { ...keys.ownKeys(ref), ...keys.runKeys(ref) };
  return COMMIT_KEYS.map((name) => named[name]);
}

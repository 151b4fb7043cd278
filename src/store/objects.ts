/** The objects of the wire in Redis, a file for each kind: this one hands them out together. */
import { Assistants } from './assistants.ts';
import { Collections, type CollectionsOptions } from './collection.ts';
import { Histories } from './history.ts';
import type { RedisKeys } from './keys.ts';
import { Labels } from './labels.ts';
import { Messages } from './messages.ts';
import { RunLists } from './run-lists.ts';
import { Steps } from './steps.ts';
import type { ThreadIndex } from './thread-index.ts';
import { Threads } from './threads.ts';

export interface Objects {
  readonly assistants: Assistants;
  readonly threads: Threads;
  readonly messages: Messages;
  readonly runs: RunLists;
  readonly steps: Steps;
  /** Metadata that messages and runs were given after they were written. */
  readonly labels: Labels;
  /** What prompts are made from. */
  readonly histories: Histories;
}

export interface ObjectsOptions extends CollectionsOptions {
  readonly keys: RedisKeys;
  readonly threadIndex: ThreadIndex;
}

export function openObjects(options: ObjectsOptions): Objects {
  const { redis, keys, threadIndex, damage, nowMs } = options;
  const collections = new Collections(options);
  const messages = new Messages(collections, redis, keys, threadIndex);
  return {
    assistants: new Assistants(collections, redis, keys),
    threads: new Threads(collections, redis, keys, threadIndex, messages),
    messages,
    runs: new RunLists(collections, keys, nowMs),
    steps: new Steps(collections, keys),
    labels: new Labels(redis, keys),
    histories: new Histories(redis, keys, damage),
  };
}

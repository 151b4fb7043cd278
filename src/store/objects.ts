/** The objects of the wire in Redis, a file for each kind: this one hands them out together. */
import { Assistants } from './assistants.ts';
import type { ColdThreads } from './cold-threads.ts';
import type { Collections } from './collection.ts';
import type { Contents } from './contents.ts';
import type { Damage } from './damage.ts';
import { Files } from './files.ts';
import { Histories } from './history.ts';
import type { RedisKeys } from './keys.ts';
import { Labels } from './labels.ts';
import { ThreadLine } from './line.ts';
import { Messages } from './messages.ts';
import { OpenParts } from './open-parts.ts';
import type { RecentRuns } from './recent-runs.ts';
import { RunLists } from './run-lists.ts';
import type { ScriptedRedis } from './scripts.ts';
import { Steps } from './steps.ts';
import type { ThreadIndex } from './thread-index.ts';
import { StoreFiles } from './store-files.ts';
import { Threads } from './threads.ts';
import { KeptTraces } from './traces.ts';
import { Uploads } from './uploads.ts';
import { VectorStores } from './vector-stores.ts';

export interface Objects {
  readonly assistants: Assistants;
  readonly threads: Threads;
  /** Messages, steps of calls and items of a thread, together. */
  readonly line: ThreadLine;
  readonly messages: Messages;
  readonly vectorStores: VectorStores;
  readonly storeFiles: StoreFiles;
  readonly runs: RunLists;
  readonly recentRuns: RecentRuns;
  readonly steps: Steps;
  /** What runs are writing. */
  readonly openParts: OpenParts;
  /** Metadata that messages and runs were given after they were written. */
  readonly labels: Labels;
  readonly files: Files;
  /** Files that come in parts. */
  readonly uploads: Uploads;
  /** What workers have noted of runs. */
  readonly traces: KeptTraces;
  /** What prompts are made from. */
  readonly histories: Histories;
}

export interface ObjectsOptions {
  readonly collections: Collections;
  readonly contents: Contents;
  readonly cold: ColdThreads;
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  readonly threadIndex: ThreadIndex;
  readonly recentRuns: RecentRuns;
  readonly damage: Damage;
  /** Unix milliseconds, the same for every process. */
  readonly nowMs: () => number;
}

export function openObjects(options: ObjectsOptions): Objects {
  const { collections, redis, keys, cold, recentRuns, damage } = options;
  const files = new Files(options);
  const line = new ThreadLine(options);
  return {
    assistants: new Assistants(collections, redis, keys),
    threads: new Threads({ ...options, line }),
    line,
    messages: new Messages(options),
    vectorStores: new VectorStores(collections, redis, keys, () => Math.floor(options.nowMs() / 1_000)),
    storeFiles: new StoreFiles(collections, redis, keys),
    runs: new RunLists(options),
    recentRuns,
    steps: new Steps(collections, keys, cold),
    openParts: new OpenParts(redis, keys),
    labels: new Labels(redis, keys, cold),
    files,
    uploads: new Uploads({ ...options, files }),
    traces: new KeptTraces(redis, keys, damage),
    histories: new Histories(redis, keys, damage, cold),
  };
}

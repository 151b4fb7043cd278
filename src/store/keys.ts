/**
 * Every key and channel in Redis: its type, who writes it, when it expires. The project is part of the key, so an
 * object of another project is not refused but simply not there (docs/decisions/0004-projects-are-key-spaces.md).
 *
 * Everything of one thread carries the hash tag `{threadId}`: one commit stays in one slot of a Redis Cluster.
 */
import type { OwnKeys, RunKeys, ThreadKeys } from './thread-keys.ts';
import { ColdKeys } from './cold-keys.ts';
import { FileKeys } from './file-keys.ts';
import { WatchKeys } from './watch-keys.ts';

/** Names a thread. Ids come from clients, so they are checked before they get here ({@link isSafeId}). */
export interface ThreadRef {
  readonly project: string;
  readonly threadId: string;
}

export interface RunRef extends ThreadRef {
  readonly runId: string;
}

/** Names a vector store. */
export interface StoreRef {
  readonly project: string;
  readonly storeId: string;
}

/** The three keys of a collection: documents (hash), order (sorted set), and where deleted ones stood (sorted set). */
export interface CollectionKeys {
  readonly docs: string;
  readonly index: string;
  readonly gone: string;
}

export class RedisKeys {
  /** Those of files and uploads. */
  readonly files: FileKeys;
  readonly cold: ColdKeys;
  readonly watch: WatchKeys;
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.files = new FileKeys(prefix);
    this.cold = new ColdKeys(prefix);
    this.watch = new WatchKeys(prefix);
  }

  /** Sorted set: members `project/thread/run` of runs that may still need a worker, by when to look at them (unix ms). */
  get open(): string {
    return `${this.#prefix}:open`;
  }

  /** Sorted set: members `project/thread` of the threads that are kept and not cold, by their last use (unix ms). {@link ThreadIndex} writes it. */
  get threads(): string {
    return `${this.#prefix}:threads`;
  }

  /** Hash with expiry: what refusals of upstreams taught workers about models, as JSON. Written by {@link Lessons}. */
  get lessons(): string {
    return `${this.#prefix}:lessons`;
  }

  /** Sorted set: worker ids by when they were last seen (unix ms). Trimmed by the workers. */
  get workers(): string {
    return `${this.#prefix}:workers`;
  }

  /** String with expiry: the figures a worker last said, as JSON. */
  worker(id: string): string {
    return `${this.#prefix}:worker:${id}`;
  }

  /** String with expiry, empty: a worker's sign of life, which it renews ({@link Lease} of lease.ts). */
  lease(id: string): string {
    return `${this.worker(id)}:lease`;
  }

  /** String with expiry, empty: a worker that lost this run has outlived it ({@link Lease.survived} of lease.ts). */
  survived(runId: string, workerId: string): string {
    return `${this.#prefix}:survived:${runId}:${workerId}`;
  }

  /** String with expiry, empty: written to see whether Redis takes writes; numbered, for the nodes of a Cluster. */
  probe(index: number): string {
    return `${this.#prefix}:probe:${index}`;
  }

  /** String with expiry: held by the one worker whose turn it is to sweep. */
  get sweeper(): string {
    return `${this.#prefix}:sweeper`;
  }

  /** Channel: ids of runs that were changed by another than their worker. A Cluster passes it on to all its nodes. */
  get changes(): string {
    return `${this.#prefix}:changes`;
  }

  /** Channel: projects whose assistants were changed. Said by {@link Assistants}, for what processes remember of them. */
  get assistantChanges(): string {
    return `${this.#prefix}:assistants:changes`;
  }

  /** BullMQ's own prefix: a hash tag, because a queue must stay in one slot. */
  get queue(): string {
    return `{${this.#prefix}}`;
  }

  /**
   * The list of a project's threads: there are no documents, because the threads themselves lie in slots of their own. As in
   * {@link recentRuns}, the project is part of the hash tag, so that projects lie in different slots; ids have no slash.
   */
  threadList(project: string): CollectionKeys {
    return collection(`${this.#prefix}:{${project}/threads}`);
  }

  /** The runs that a project made lately; the document of each is the id of its thread. */
  recentRuns(project: string): CollectionKeys {
    return collection(`${this.#prefix}:{${project}/runs}`);
  }

  assistants(project: string): CollectionKeys {
    return collection(`${this.#prefix}:${project}:{assistants}`);
  }

  /** Hash: lower-case name of an assistant → id of the one last so named. */
  assistantNames(project: string): string {
    return `${this.assistants(project).docs}:names`;
  }

  vectorStores(project: string): CollectionKeys {
    return collection(`${this.#prefix}:${project}:{stores}`);
  }

  /** Sorted set: members `project/store` of vector stores, by when to look at them (unix ms). {@link VectorStores} writes it. */
  get shelves(): string {
    return `${this.#prefix}:shelves`;
  }

  /** Set: members `project/store` of vector stores that files were put into. {@link Shelving} writes it. */
  get filledStores(): string {
    return `${this.#prefix}:stores`;
  }

  /** Hash: what is known of the library that has the chunks of files (library-note.ts). */
  get library(): string {
    return `${this.#prefix}:library`;
  }

  /** The files in a vector store. With the next four in one slot, because one script changes them together. */
  storeFiles(ref: StoreRef): CollectionKeys {
    return collection(`${this.#shelf(ref)}:files`);
  }

  /** Set: the vector stores that a file was put into. Written by {@link Shelving}; a store of it may be gone. */
  storesOf(project: string, fileId: string): string {
    return `${this.#prefix}:${project}:stores:of:${fileId}`;
  }

  /** Hash: how many files of a vector store have which status, and the `bytes` of their chunks. */
  storeCounts(ref: StoreRef): string {
    return `${this.#shelf(ref)}:counts`;
  }

  /** Hash: the batches of a vector store. */
  storeBatches(ref: StoreRef): string {
    return `${this.#shelf(ref)}:batches`;
  }

  /** Hash: how many files of a batch have which status. @param batchId null for files of no batch */
  batchCounts(ref: StoreRef, batchId: string | null): string {
    return `${this.#shelf(ref)}:counts:${batchId ?? ''}`;
  }

  /** Sorted set: the files of a batch. @param batchId null for files of no batch */
  batchFiles(ref: StoreRef, batchId: string | null): string {
    return `${this.#shelf(ref)}:batch:${batchId ?? ''}`;
  }

  /**
   * Hash: what runs of a project have in common, and the threads that need it, each with a mark. In a slot of its own; written
   * by {@link Contents}, which also removes it.
   */
  content(project: string, digest: string): string {
    return `${this.#prefix}:${project}:{content/${digest}}`;
  }

  /** Sorted set: members `project/digest` of all {@link content}s, by when to look whether they are needed (unix ms). */
  get contents(): string {
    return `${this.#prefix}:contents`;
  }

  /** Set: projects whose key a model has answered. With the next five in one slot, because one script decides by them. */
  get proven(): string {
    return `${this.#prefix}:{trial}:proven`;
  }

  /** Sorted set: projects on trial by their first write (unix ms). The sweeper ends those whose time is over. */
  get trials(): string {
    return `${this.#prefix}:{trial}:waiting`;
  }

  /** Hash: `bytes` and `writes` of all projects on trial. */
  get trialSums(): string {
    return `${this.#prefix}:{trial}:sums`;
  }

  /** Hash: the writes of a project on trial and their bytes. Deleted with the trial's end. */
  trial(project: string): string {
    return `${this.#prefix}:{trial}:of:${project}`;
  }

  /** Sorted set: chats without a thread that projects on trial have room for, by when to see whether they are gone (unix ms). */
  get trialChats(): string {
    return `${this.#prefix}:{trial}:chats`;
  }

  /** String with expiry: the write of a project on trial that was let through without room. */
  trialFirst(project: string): string {
    return `${this.#prefix}:{trial}:first:${project}`;
  }

  /** Counter with expiry: how many listen to a run besides the caller that began it. */
  listeners(ref: RunRef): string {
    return `${this.#base(ref)}:audience:${ref.runId}`;
  }

  /**
   * String with expiry, by a name or digest: the run that waits for a photo of a caller (`photo`), the first answer to a request for
   * its retries (`answer`), the run that has the decision about a call (`approval`), what a tool answered to certain arguments.
   */
  passing(project: string, kind: 'photo' | 'answer' | 'approval' | 'tool', name: string): string {
    return `${this.#prefix}:${project}:${kind}:${name}`;
  }

  /** Hash with expiry: what a project has used on a UTC day. In one slot with the marks of its runs. */
  usage(project: string, date: string): string {
    return `${this.#prefix}:{${project}:usage}:${date}`;
  }

  /** String with expiry, empty: what this run has used is counted. */
  counted(project: string, runId: string): string {
    return `${this.#prefix}:{${project}:usage}:counted:${runId}`;
  }

  /**
   * Hash with the thread's document under its id, and under {@link BASE_FIELD} what it goes on from. Exists exactly as long as
   * the thread: of a cold one it has the mark (`:cold`), and in one that came back is noted from where, and when (`:thawed`).
   */
  thread(ref: ThreadRef): string {
    return `${this.#base(ref)}:thread`;
  }

  /** String: id of the run that locks the thread. Set when a run is created, removed when it ends. */
  active(ref: ThreadRef): string {
    return `${this.#base(ref)}:active`;
  }

  /** Counter: gives messages, runs and steps of the thread their place. */
  order(ref: ThreadRef): string {
    return `${this.#base(ref)}:order`;
  }

  /** Hash: id → metadata a client gave a message or run after it was created; and the thread's grace (poll-grace.ts). */
  labels(ref: ThreadRef): string {
    return `${this.#base(ref)}:labels`;
  }

  messages(ref: ThreadRef): CollectionKeys {
    return collection(`${this.#base(ref)}:messages`);
  }

  /** Sorted set: the messages one run wrote. */
  runMessages(ref: RunRef): string {
    return `${this.#base(ref)}:messages:by:${ref.runId}`;
  }

  /** Sorted set of the thread's runs; their documents are the hashes of {@link run}. */
  runs(ref: ThreadRef): string {
    return `${this.#base(ref)}:runs`;
  }

  /**
   * Hash of one run: `doc` (its state), `version` (the fence), `seq` (of its last event). Written by commit.lua and, for
   * fragments, by fragments.lua; but abandon.lua marks one that cannot be read (`unreadable`, `given_up`), and
   * {@link ThreadLine} one whose response was deleted (`forgotten`).
   */
  run(ref: RunRef): string {
    return `${this.#base(ref)}:run:${ref.runId}`;
  }

  /** What the keys of {@link run} of a thread's runs begin with. */
  runPrefix(ref: ThreadRef): string {
    return this.run({ ...ref, runId: '' });
  }

  /** Stream: the run's event log, entry ids `<seq>-0`. Expires some time after the run has ended. */
  log(ref: RunRef): string {
    return `${this.#base(ref)}:log:${ref.runId}`;
  }

  /** String: the messages of a request without a thread, as JSON; expires with its run. */
  input(ref: RunRef): string {
    return `${this.#base(ref)}:input:${ref.runId}`;
  }

  /** List with expiry: what workers note of a run for its trace, as JSON; bounded. */
  trace(ref: RunRef): string {
    return `${this.#base(ref)}:trace:${ref.runId}`;
  }

  /** Documents of all steps of the thread, and what was thought and said beside them ({@link thoughtsOf}, {@link asidesOf}) (hash); one run's order is {@link runSteps}. */
  steps(ref: ThreadRef): string {
    return `${this.#base(ref)}:steps`;
  }

  runSteps(ref: RunRef): string {
    return `${this.#base(ref)}:steps:by:${ref.runId}`;
  }

  /** Sorted set: the thread's steps of tool calls, for prompts. */
  toolSteps(ref: ThreadRef): string {
    return `${this.#base(ref)}:steps:tools`;
  }

  /** String with expiry, empty: written after the run, to see whether a replica has got as far as this. */
  mark(ref: RunRef): string {
    return `${this.#base(ref)}:mark`;
  }

  /** Sharded channel: a run's events as they are committed. In a Cluster only the run's own node hears them. */
  events(ref: RunRef): string {
    return `${this.#base(ref)}:events:${ref.runId}`;
  }

  /** All keys of a thread and its runs, but for {@link mark}, which lives for a second. A new key of a thread belongs here. */
  threadKeys(ref: ThreadRef): ThreadKeys {
    return { own: this.ownKeys(ref), perRun: this.runKeys({ ...ref, runId: '' }) };
  }

  /** The keys that a thread has once. */
  ownKeys(ref: ThreadRef): OwnKeys {
    const messages = this.messages(ref);
    return {
      thread: this.thread(ref),
      active: this.active(ref),
      order: this.order(ref),
      labels: this.labels(ref),
      messages: messages.docs,
      messagesIndex: messages.index,
      messagesGone: messages.gone,
      runs: this.runs(ref),
      steps: this.steps(ref),
      toolSteps: this.toolSteps(ref),
    };
  }

  /** The keys that each run of a thread has. All of them end in its id. */
  runKeys(ref: RunRef): RunKeys {
    return {
      run: this.run(ref),
      log: this.log(ref),
      runMessages: this.runMessages(ref),
      runSteps: this.runSteps(ref),
      input: this.input(ref),
      listeners: this.listeners(ref),
      trace: this.trace(ref),
    };
  }

  #shelf({ project, storeId }: StoreRef): string {
    return `${this.#prefix}:${project}:{${storeId}}`;
  }

  #base({ project, threadId }: ThreadRef): string {
    return `${this.#prefix}:${project}:{${threadId}}`;
  }
}

/** Ids that may stand in a key: no braces, which would move it to another slot, no colons, no blanks. */
export function isSafeId(id: string): boolean {
  return /^[\w.-]{1,128}$/.test(id);
}

/** The field of a thread's hash that names the place in another thread from which it goes on. No id is like it. */
export const BASE_FIELD = 'base';

/** The field of the thoughts of a step, in the hash of the steps. */
export const thoughtsOf = (stepId: string): string => `${stepId}:thoughts`;

/** The field of the asides of a step, in the hash of the steps. */
export const asidesOf = (stepId: string): string => `${stepId}:asides`;

function collection(base: string): CollectionKeys {
  return { docs: base, index: `${base}:index`, gone: `${base}:gone` };
}

/**
 * Takes threads out of Redis that nobody has used for long: reads one, has it kept in a row, and lets freeze.lua decide whether it
 * is still what was read. Until then the thread is where it was, so a process that dies leaves a row that nobody names, and
 * nothing else. Such rows are looked for now and then.
 *
 * The row of a thread that came back stays for an hour: a replica that takes over may not have heard of the return.
 */
import type { Logger } from '../log.ts';
import type { ColdRow, ColdRows } from '../runs/cold-row.ts';
import { randomText } from '../runs/ids.ts';
import { isTerminal } from '../runs/run.ts';
import { isUnavailable } from './away.ts';
import { COLD_FIELD, markOf, THAWED_FIELD, versionIn, type ColdThreads } from './cold-threads.ts';
import { contentNamedBy } from './compact.ts';
import { keyOf, OWN_KINDS, packed, RUN_KINDS, type FrozenKey, type KeyKind } from './frozen.ts';
import { decodeRun } from './json.ts';
import type { RedisKeys, RunRef, ThreadRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';
import type { ThreadIndex, UnusedThread } from './thread-index.ts';

/** Rows that are kept together, with one write to the disk. */
const TOGETHER = 8;
/** Candidates that one sweep looks at. */
const BATCH = 100;
/** A sweep that has taken so long leaves the rest to the next one. */
const SWEEP_MS = 1_500;
/** Larger threads stay: putting one back holds up everybody for some milliseconds a megabyte. */
const MAX_BYTES = 16 * 1024 * 1024;
const SCAN_COUNT = 500;
const VERSION_LENGTH = 20;
const OWNER_LENGTH = 20;
/** Of so many threads that cannot be frozen as they are, this process remembers that. */
const MAX_STAYING = 10_000;
/** Nobody's rows are removed after so long. */
const UNNAMED_MS = 60 * 60 * 1000;
const WALK_BATCH = 500;

export interface FreezerOptions {
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  readonly threadIndex: ThreadIndex;
  readonly cold: ColdThreads;
  readonly rows: ColdRows;
  /** Unix milliseconds, the same for every process. */
  readonly nowMs: () => number;
  readonly log: Logger;
}

/** What became of a thread that was to be frozen. `stays`: as long as nobody uses it, it will. */
export type Freezing = 'frozen' | 'changed' | 'gone' | 'cold' | 'stays';

/** A thread as it was read. */
interface ReadThread {
  readonly ref: ThreadRef;
  readonly keys: readonly FrozenKey[];
  readonly document: string;
  readonly order: string;
  readonly messages: number;
  readonly newestMessage: string;
  readonly newestRun: string;
  /** What is noted of its last return; '' where there was none. */
  readonly thawed: string;
}

export class Freezer {
  readonly #options: FreezerOptions;
  /** Where the next sweep goes on (unix milliseconds of last use). */
  #fromMs = -Infinity;
  /** Threads that cannot be frozen as they are, by when they were last used. */
  readonly #staying = new Map<string, number>();
  #owner: string | null = null;
  #tidyAtMs = 0;

  constructor(options: FreezerOptions) {
    this.#options = options;
  }

  /** Freezes threads that were not used for `ageMs`, as many as there is time for. @returns how many */
  async sweep(ageMs: number, isStopped: () => boolean = () => false): Promise<number> {
    const { threadIndex, nowMs, log } = this.#options;
    const untilMs = performance.now() + SWEEP_MS;
    const due = await threadIndex.unusedSince(nowMs() - ageMs, this.#fromMs, BATCH);
    // From the beginning again: some may have been passed over, because they had changed.
    this.#fromMs = due.length < BATCH ? -Infinity : (due.at(-1)?.usedMs ?? -Infinity);
    let frozen = 0;
    const candidates = due.filter(({ ref, usedMs }) => this.#staying.get(nameOf(ref)) !== usedMs);
    for (let at = 0; at < candidates.length; at += TOGETHER) {
      if (isStopped()) break;
      if (performance.now() > untilMs) {
        this.#fromMs = (candidates[at]?.usedMs ?? 0) - 1;
        break;
      }
      const found = await this.freeze(candidates.slice(at, at + TOGETHER));
      frozen += found.filter((outcome) => outcome === 'frozen').length;
    }
    if (frozen > 0) log.debug({ threads: frozen }, 'moved threads out of Redis that were not used');
    return frozen;
  }

  /** Freezes these threads, each for itself. */
  async freeze(threads: readonly UnusedThread[]): Promise<readonly Freezing[]> {
    const read = await Promise.all(threads.map(async ({ ref }) => this.#readable(ref)));
    const owner = await this.#ownerOfRows();
    const rows = await Promise.all(
      read.map(async (thread) => (typeof thread === 'string' ? null : this.#rowOf(thread, owner))),
    );
    await this.#options.rows.keep(rows.filter((row) => row !== null));
    return Promise.all(
      threads.map(async (unused, index) => {
        const [thread = 'gone', row = null] = [read[index], rows[index]];
        const outcome = typeof thread === 'string' || row === null ? thread : await this.#leave(thread, row);
        const freezing = typeof outcome === 'string' ? outcome : 'stays';
        await this.#note(unused, freezing);
        return freezing;
      }),
    );
  }

  /** Removes rows that nobody names any more, once an hour for all processes. @returns how many */
  async tidy(isStopped: () => boolean = () => false, isNow = false): Promise<number> {
    const { redis, keys, rows, nowMs, log } = this.#options;
    if (!isNow && !(await this.#isTimeToTidy())) return 0;
    const owner = await redis.get(keys.cold.owner);
    if (owner === null) return 0;
    const untilMs = nowMs() - UNNAMED_MS;
    let dropped = 0;
    for (let after = ''; !isStopped();) {
      const names = await rows.walk(owner, after, untilMs, WALK_BATCH);
      const isNeeded = await Promise.all(
        names.map(async ({ version, ...ref }) => {
          const [mark, thawed] = await redis.hmget(keys.thread(ref), COLD_FIELD, THAWED_FIELD);
          if (mark && versionIn(mark) === version) return true;
          return Boolean(thawed) && versionIn(thawed ?? '') === version && returnedMs(thawed ?? '') > untilMs;
        }),
      );
      const unneeded = names.filter((_, index) => !isNeeded[index]).map(({ version }) => version);
      await rows.drop(unneeded);
      dropped += unneeded.length;
      const last = names.at(-1);
      if (names.length < WALK_BATCH || last === undefined) break;
      after = last.version;
    }
    if (dropped > 0) log.info({ rows: dropped }, 'removed rows of threads that came back or are gone');
    return dropped;
  }

  async #isTimeToTidy(): Promise<boolean> {
    const { redis, keys, nowMs } = this.#options;
    if (nowMs() < this.#tidyAtMs) return false;
    this.#tidyAtMs = nowMs() + UNNAMED_MS;
    return (await redis.set(keys.cold.tidied, '', 'PX', UNNAMED_MS, 'NX')) === 'OK';
  }

  async #readable(ref: ThreadRef): Promise<ReadThread | Freezing> {
    try {
      return await this.#read(ref);
    } catch (err) {
      if (isUnavailable(err)) throw err;
      // One that cannot be read must not keep the others. What is wrong with it is told by whoever asks for it.
      this.#options.log.debug({ err, thread_id: ref.threadId }, 'cannot freeze a thread');
      return 'stays';
    }
  }

  /** All of a thread. The order is read first: what changes later is noticed by it. */
  async #read(ref: ThreadRef): Promise<ReadThread | Freezing> {
    const { redis, keys } = this.#options;
    const names = keys.ownKeys(ref);
    const [holder, order, fields] = await Promise.all([
      redis.get(names.active),
      redis.get(names.order),
      redis.hgetall(names.thread),
    ]);
    if (fields[COLD_FIELD] !== undefined) return 'cold';
    const document = fields[ref.threadId];
    if (document === undefined) return 'gone';
    if (holder !== null) return 'changed';
    const values = new Map<string, readonly string[]>();
    const found: FrozenKey[] = [];
    const keep = (key: FrozenKey): void => void (key.values.length > 0 && found.push(key));
    for (const [name, kind] of entriesOf(OWN_KINDS)) {
      if (kind === null) continue;
      const own = name === 'thread' ? fieldsOf(fields) : await this.#values(names[name], kind);
      values.set(name, own);
      keep({ name, kind, values: own });
    }
    const index = values.get('messagesIndex') ?? [];
    const runs = values.get('runs') ?? [];
    // Scores come before their members.
    for (let at = 1; at < runs.length; at += 2) {
      const ofRun = await this.#run({ ...ref, runId: runs[at] ?? '' });
      for (const key of ofRun ?? []) keep(key);
      if (ofRun === null || bytesOf(found) > MAX_BYTES) return 'stays';
    }
    if (bytesOf(found) > MAX_BYTES) return 'stays';
    return {
      ref,
      keys: found,
      document,
      order: order ?? '',
      messages: index.length / 2,
      newestMessage: index.at(-1) ?? '',
      newestRun: runs.at(-1) ?? '',
      thawed: fields[THAWED_FIELD] ?? '',
    };
  }

  /** The keys of a run; null where it has not ended. */
  async #run(ref: RunRef): Promise<readonly FrozenKey[] | null> {
    const { redis, keys, nowMs } = this.#options;
    const names = keys.runKeys(ref);
    const [doc, logLeftMs, ...found] = await Promise.all([
      redis.hget(names.run, 'doc'),
      redis.pttl(names.log),
      ...entriesOf(RUN_KINDS).map(async ([name, kind]): Promise<FrozenKey | null> => {
        if (kind === null) return null;
        return { name, runId: ref.runId, kind, values: await this.#values(names[name], kind) };
      }),
    ]);
    // Only ended runs name a content. One without a document has been lost, and holds nothing any more.
    const isOver = doc === null || contentNamedBy(doc) !== null || isTerminal(decodeRun(doc, ref, null).run);
    if (!isOver) return null;
    const expiresMs = logLeftMs < 0 ? {} : { expiresMs: nowMs() + logLeftMs };
    return found
      .filter((key) => key !== null)
      .map((key) => (key.name === 'log' ? { ...key, ...expiresMs } : key));
  }

  /** What is under a key, as thaw.lua takes it. */
  async #values(key: string, kind: KeyKind): Promise<readonly string[]> {
    const { redis } = this.#options;
    switch (kind) {
      case 'hash':
        return this.#hash(key);
      case 'zset':
        return scoresFirst(await redis.zrange(key, '0', '-1', 'WITHSCORES'));
      case 'stream':
        return (await redis.xrange(key, '-', '+')).flatMap(([id, fields]) => [id, fields[1] ?? '']);
      case 'string': {
        const text = await redis.get(key);
        return text === null ? [] : [text];
      }
    }
  }

  /** Fields and values of a hash, which may be large. */
  async #hash(key: string): Promise<readonly string[]> {
    const fields = new Map<string, string>();
    for (let cursor = '0'; ;) {
      const [next, found] = await this.#options.redis.hscan(key, cursor, 'COUNT', SCAN_COUNT);
      for (let at = 0; at < found.length; at += 2) fields.set(found[at] ?? '', found[at + 1] ?? '');
      if (next === '0') return [...fields].flat();
      cursor = next;
    }
  }

  async #rowOf({ ref, keys, document }: ReadThread, owner: string): Promise<ColdRow> {
    const { project, threadId } = ref;
    return {
      version: randomText(VERSION_LENGTH),
      owner,
      project,
      threadId,
      madeMs: this.#options.nowMs(),
      document,
      body: await packed(keys),
    };
  }

  /** Leaves the mark of a row that is kept. */
  async #leave(thread: ReadThread, { version }: ColdRow): Promise<Freezing> {
    const { redis, keys, cold } = this.#options;
    const { ref } = thread;
    const own = keys.ownKeys(ref);
    const { thread: doc, active, order, messagesIndex, runs, ...others } = own;
    const named = new Set([doc, active, order, messagesIndex, runs, ...Object.values(others)]);
    for (const key of thread.keys) named.add(keyOf(keys, ref, key));
    // Traces do not become cold: whoever deletes a cold thread does not know its runs.
    for (const { name, runId } of thread.keys)
      if (name === 'run' && runId !== undefined) named.add(keys.trace({ ...ref, runId }));
    const mark = markOf(version, Buffer.byteLength(thread.document));
    const { document, order: wasAt, messages, newestMessage, newestRun } = thread;
    const args = [
      ref.threadId,
      document,
      wasAt,
      messages,
      newestMessage,
      newestRun,
      mark,
      this.#lately(thread.thawed),
    ];
    // A row that is not needed is left to `tidy`: a script that was sent twice may still come to name it.
    if ((await redis.freeze(named.size, ...named, ...args)) !== 1) return 'changed';
    cold.counts.frozen += 1;
    return 'frozen';
  }

  /** The note of a return whose row may still be there, so that whoever deletes the thread finds that one as well. */
  #lately(thawed: string): string {
    return thawed !== '' && returnedMs(thawed) > this.#options.nowMs() - 2 * UNNAMED_MS ? thawed : '';
  }

  /** Whatever fails here is done by a later sweep, which finds the thread once more. */
  async #note({ ref, usedMs }: UnusedThread, outcome: Freezing): Promise<void> {
    const { threadIndex, log } = this.#options;
    if (outcome === 'frozen' || outcome === 'cold')
      await threadIndex.becameCold(ref, usedMs).catch((err: unknown) => {
        log.debug({ err, thread_id: ref.threadId }, 'could not note that a thread is cold');
      });
    if (outcome === 'gone') threadIndex.forgetLater(ref);
    if (outcome !== 'stays') return;
    if (this.#staying.size >= MAX_STAYING) this.#staying.clear();
    this.#staying.set(nameOf(ref), usedMs);
  }

  async #ownerOfRows(): Promise<string> {
    const { redis, keys } = this.#options;
    const own = randomText(OWNER_LENGTH);
    // Read first: a full Redis, which needs this most, refuses to set it.
    this.#owner ??= await redis.get(keys.cold.owner);
    this.#owner ??= (await redis.set(keys.cold.owner, own, 'NX', 'GET')) ?? own;
    return this.#owner;
  }
}

const nameOf = ({ project, threadId }: ThreadRef): string => `${project}/${threadId}`;

const returnedMs = (note: string): number => Number(note.slice(note.indexOf(':') + 1));

function entriesOf<Name extends string>(kinds: Readonly<Record<Name, KeyKind | null>>) {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- entries forgets the names.
  return Object.entries(kinds) as [Name, KeyKind | null][];
}

/** Fields and values of the thread itself, without what is noted of its returns. */
function fieldsOf(fields: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(fields)
    .filter(([field]) => field !== THAWED_FIELD)
    .flat();
}

/** Members and scores, each after its other. */
function scoresFirst(found: readonly string[]): readonly string[] {
  return found.map((_, at) => found[at % 2 === 0 ? at + 1 : at - 1] ?? '');
}

function bytesOf(keys: readonly FrozenKey[]): number {
  let bytes = 0;
  for (const { values } of keys) for (const value of values) bytes += value.length;
  return bytes;
}

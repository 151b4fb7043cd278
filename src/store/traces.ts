/**
 * What workers note of runs for their traces. Notes gather for a moment and are sent without anybody waiting for them: what
 * cannot be written is missing in the trace, and nowhere else.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../log.ts';
import { MOST_NOTES, type TraceNote } from '../runs/trace/notes.ts';
import type { Damage } from './damage.ts';
import { decode } from './json.ts';
import type { RedisKeys, RunRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** A process that stops waits so long for its last notes. */
const LAST_NOTES_MS = 1_000;
/** While Redis takes nothing, notes are not gathered without end. */
const MOST_SENDING = 1_000;
/** A trace that is read while its run goes on lacks at most what happened within this time. */
const GATHER_MS = 250;

export interface TraceNotesOptions {
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  readonly log: Logger;
  /** How long a trace stays after its last note. */
  readonly keptS: number;
}

/** What a worker gathers of its runs. */
export class TraceNotes {
  readonly #options: TraceNotesOptions;
  readonly #gathered = new Map<string, { readonly ref: RunRef; readonly notes: (() => TraceNote)[] }>();
  readonly #sending = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: TraceNotesOptions) {
    this.#options = options;
  }

  /** @param note is asked when it is sent */
  add(ref: RunRef, note: () => TraceNote): void {
    const found = this.#gathered.get(ref.runId) ?? { ref, notes: [] };
    this.#gathered.set(ref.runId, found);
    found.notes.push(note);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      for (const runId of this.#gathered.keys()) this.send(runId);
    }, GATHER_MS);
  }

  /** Sends in this tick what has gathered of a run. */
  send(runId: string): void {
    const found = this.#gathered.get(runId);
    if (found === undefined) return;
    this.#gathered.delete(runId);
    if (this.#sending.size >= MOST_SENDING) return;
    const sent = this.#write(
      found.ref,
      found.notes.map((note) => encodeNote(note())),
    );
    this.#sending.add(sent);
    void sent.finally(() => this.#sending.delete(sent));
  }

  async #write(ref: RunRef, notes: readonly string[]): Promise<void> {
    const { redis, keys, keptS, log } = this.#options;
    try {
      await redis.trace(2, keys.run(ref), keys.trace(ref), MOST_NOTES, keptS * 1_000, ...notes);
    } catch (err) {
      log.debug({ err, run_id: ref.runId }, 'could not note what a run has done');
    }
  }

  /** Sends what has gathered, and waits until it is written, or a moment. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const runId of this.#gathered.keys()) this.send(runId);
    await Promise.race([Promise.all(this.#sending), delay(LAST_NOTES_MS)]);
  }
}

/** Reads the notes. */
export class KeptTraces {
  readonly #redis: Pick<ScriptedRedis, 'lrange'>;
  readonly #keys: RedisKeys;
  readonly #damage: Damage;

  constructor(redis: Pick<ScriptedRedis, 'lrange'>, keys: RedisKeys, damage: Damage) {
    this.#redis = redis;
    this.#keys = keys;
    this.#damage = damage;
  }

  /** The notes of a run, oldest first; none where there are none any more. */
  async of(ref: RunRef): Promise<readonly TraceNote[]> {
    const texts = await this.#redis.lrange(this.#keys.trace(ref), 0, -1);
    return texts.flatMap((text) => this.#damage.skip(() => decodeNote(text, `trace of ${ref.runId}`)) ?? []);
  }
}

type Field<Note> = Note extends unknown ? keyof Note : never;

/** The fields of notes as they are kept: their names would be half of it. One that has a letter keeps it for ever. */
const LETTERS: Readonly<Record<Field<TraceNote>, string>> = {
  begun: 'b',
  at: 't',
  queued: 'q',
  worker: 'w',
  in: 'i',
  n: 'n',
  until: 'u',
  error: 'e',
  cut: 'c',
  model: 'm',
  upstream: 's',
  as: 'a',
  again: 'g',
  first: 'f',
  finish: 'd',
  tokens: 'k',
  tool: 'l',
  kind: 'y',
  call: 'p',
  over: 'o',
  outcome: 'r',
};

const NAMES = Object.fromEntries(Object.entries(LETTERS).map(([name, letter]) => [letter, name]));

const renamed = (note: object, names: Readonly<Record<string, string>>): object =>
  Object.fromEntries(Object.entries(note).map(([name, value]) => [names[name] ?? name, value]));

const encodeNote = (note: TraceNote): string => JSON.stringify(renamed(note, LETTERS));

const decodeNote = (text: string, what: string): TraceNote =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it was written here.
  renamed(decode<object>(text, what), NAMES) as TraceNote;

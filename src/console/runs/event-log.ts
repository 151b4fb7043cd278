/** The events of a run as they came, in bounded memory: fragments that follow each other are one entry. */
import { decoded, type StreamEvent } from '../api.ts';

/** What an event is about. */
export type EventKind = 'run' | 'step' | 'message' | 'other';

export interface LogEntry {
  readonly key: number;
  readonly name: string;
  readonly kind: EventKind;
  /** The id of the object that it is about; empty where it has none. */
  readonly about: string;
  /** How many fragments it stands for; 0 for an event that is no fragment. */
  readonly fragments: number;
  /** The text of the fragments, or the JSON of the event. */
  readonly text: string;
  /** The status that the event tells. */
  readonly status: string;
}

const MOST_ENTRIES = 2_000;
/** Of one entry, in characters. */
const MOST_TEXT = 20_000;

export class EventLog {
  /** How many were dropped to make room. */
  dropped = 0;
  /** Whether only the end of the run was to be had. */
  hasExpired = false;
  /** Whether all events were told. */
  isOver = false;
  #next = 0;
  /** Oldest first. */
  readonly #entries: LogEntry[] = [];
  readonly #said = new Map<string, string>();

  /** What a message says so far, as long as it is being written. */
  saidSoFar(messageId: string): string {
    return this.#said.get(messageId) ?? '';
  }

  take({ id, event, data }: StreamEvent): void {
    if (event === 'done') {
      this.isOver = true;
      return;
    }
    // Of a log that has expired, the server sends the end alone, which has no place in the log.
    if (id === null && this.#next === 0 && event !== 'thread.run.created') this.hasExpired = true;
    const value = decoded<unknown>(data);
    const about = stringIn(value, 'id');
    if (event.endsWith('.delta')) this.#takeFragment(event, about, value);
    else
      this.#add({
        name: event,
        about,
        fragments: 0,
        text: cut(JSON.stringify(value, null, 2)),
        status: stringIn(value, 'status'),
      });
    if (event === 'thread.message.completed' || event === 'thread.message.incomplete')
      this.#said.delete(about);
  }

  #takeFragment(name: string, about: string, value: unknown): void {
    const text = fragmentText(fieldOf(value, 'delta'));
    if (name === 'thread.message.delta') this.#said.set(about, (this.#said.get(about) ?? '') + text);
    const last = this.#entries.at(-1);
    if (last === undefined || last.name !== name || last.about !== about)
      return this.#add({ name, about, fragments: 1, text: cut(text), status: '' });
    this.#entries[this.#entries.length - 1] = {
      ...last,
      fragments: last.fragments + 1,
      text: last.text.length < MOST_TEXT ? cut(last.text + text) : last.text,
    };
  }

  #add(entry: Omit<LogEntry, 'key' | 'kind'>): void {
    this.#entries.push({ ...entry, key: this.#next, kind: kindOf(entry.name) });
    this.#next += 1;
    if (this.#entries.length <= MOST_ENTRIES) return;
    this.#entries.shift();
    this.dropped += 1;
  }

  /** The newest entries of a kind, oldest first, and how many there are before them. */
  newest(
    kind: EventKind | '',
    most: number,
  ): { readonly shown: readonly LogEntry[]; readonly before: number } {
    const found = kind === '' ? this.#entries : this.#entries.filter((entry) => entry.kind === kind);
    return { shown: found.slice(-most), before: Math.max(0, found.length - most) };
  }
}

const cut = (text: string): string => (text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text);

function kindOf(name: string): EventKind {
  if (name.startsWith('thread.run.step.')) return 'step';
  if (name.startsWith('thread.run.')) return 'run';
  return name.startsWith('thread.message.') ? 'message' : 'other';
}

/** All that is said in a fragment: the strings under these names, wherever they are. */
const SAID = new Set(['value', 'text', 'arguments', 'output', 'input', 'logs', 'name']);

function fragmentText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(fragmentText).join('');
  if (typeof value !== 'object' || value === null) return '';
  return Object.entries(value)
    .map(([name, inner]) => (typeof inner !== 'string' || SAID.has(name) ? fragmentText(inner) : ''))
    .join('');
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined;
}

function stringIn(value: unknown, name: string): string {
  const field = fieldOf(value, name);
  return typeof field === 'string' ? field : '';
}

/**
 * The asides of one turn, put together from the fragments in which upstreams send them. A field that comes whole is kept as
 * it is. What comes in pieces is joined as the protocol means it:
 *
 *   A1  an entry of a list continues the entry with the same `index` and `type`; without an index it is another entry
 *   A2  texts grow; any other value, such as a signature, replaces the one before
 *   A3  all or nothing: half of them would be refused as altered, so beyond the limit all are forgotten
 */
import type { AsideFields } from '../runs/asides.ts';
import { isRecord } from './json.ts';

/** Of one turn, as JSON; signatures have some thousands of characters. */
const MAX_CHARS = 1024 * 1024;

/** Fields whose fragments continue a text. */
const GROWS = /(?:^|_)(?:text|summary|data|thinking|reasoning|thoughts?|content)$/;

/** How much room is left for the asides of a turn. */
export class AsideRoom {
  #left = MAX_CHARS;

  /** Makes room for a value. @returns false when there is none: then all asides are to be forgotten */
  take(value: unknown): boolean {
    if (this.#left >= 0) this.#left -= JSON.stringify(value).length;
    return this.#left >= 0;
  }

  get isOver(): boolean {
    return this.#left < 0;
  }
}

/** The fields with those of a further fragment. */
export function joinFields(before: AsideFields | null, more: AsideFields): AsideFields {
  if (before === null) return more;
  const joined: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(more)) joined[name] = joinValues(name, joined[name], value);
  return joined;
}

function joinValues(name: string, before: unknown, more: unknown): unknown {
  if (before === undefined || before === null) return more;
  if (more === null) return before;
  if (Array.isArray(before) && Array.isArray(more)) return more.reduce(joinEntry, before);
  if (isRecord(before) && isRecord(more)) return joinFields(before, more);
  if (typeof before === 'string' && typeof more === 'string' && GROWS.test(name)) return before + more;
  return more;
}

/** A1 */
function joinEntry(entries: readonly unknown[], more: unknown): readonly unknown[] {
  const place = isRecord(more) ? entries.findLastIndex((entry) => continues(entry, more)) : -1;
  const before = entries[place];
  return isRecord(before) && isRecord(more)
    ? entries.with(place, joinFields(before, more))
    : [...entries, more];
}

function continues(entry: unknown, { index, type }: AsideFields): boolean {
  return isRecord(entry) && index !== undefined && entry['index'] === index && entry['type'] === type;
}

/**
 * The asides of one turn, put together from the fragments in which upstreams send them. A field that comes whole is kept as
 * it is. What comes in pieces is joined as the protocol means it:
 *
 *   A1  an entry of a list continues the entry with the same `index` and `type` and no other `id`; without an index it is
 *       another entry, unless it is of Anthropic's thinking, which goes on until it is signed
 *   A2  texts grow; any other value, such as a signature, replaces the one before
 *   A3  all or nothing: half of them would be refused as altered, so beyond the limit all are forgotten
 */
import type { AsideFields } from '../runs/asides.ts';
import { isRecord } from '../runs/record.ts';
import { stringOr } from './json.ts';

/** Of one turn, as JSON; signatures have some thousands of characters. */
const MAX_CHARS = 1024 * 1024;

/** How many of the last entries of a list a fragment may continue. */
const MAX_OPEN = 256;

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

/**
 * The fields with those of a further fragment, in place: both belong to this turn alone, and a copy for each fragment would
 * cost the square of their number.
 */
export function joinFields(before: AsideFields | null, more: AsideFields): AsideFields {
  if (before === null) return more;
  const joined: Record<string, unknown> = before;
  for (const [name, value] of Object.entries(more)) {
    if (name === '__proto__') continue;
    joined[name] = joinValues(name, Object.hasOwn(joined, name) ? joined[name] : undefined, value);
  }
  return joined;
}

function joinValues(name: string, before: unknown, more: unknown): unknown {
  if (before === undefined || before === null) return more;
  if (more === null) return before;
  if (Array.isArray(before) && Array.isArray(more)) {
    for (const entry of more) joinEntry(before, entry);
    return before;
  }
  if (isRecord(before) && isRecord(more)) return joinFields(before, more);
  if (typeof before === 'string' && typeof more === 'string' && GROWS.test(name)) return before + more;
  return more;
}

/** A1 */
function joinEntry(entries: unknown[], more: unknown): void {
  const first = Math.max(0, entries.length - MAX_OPEN);
  for (let at = entries.length - 1; isRecord(more) && at >= first; at -= 1) {
    const entry = entries[at];
    if (!isRecord(entry) || !continues(entry, more, at === entries.length - 1)) continue;
    joinFields(entry, more);
    return;
  }
  entries.push(more);
}

/** @param isLast whether nothing has come behind the entry */
function continues(entry: AsideFields, { index, type, id = null }: AsideFields, isLast: boolean): boolean {
  if (entry['index'] !== index || entry['type'] !== type) return false;
  // Gateways hand on Anthropic's blocks in pieces without an index, the signature with the last.
  if (index === undefined) return isLast && type === 'thinking' && stringOr(entry['signature']) === '';
  const { id: before = null } = entry;
  return id === null || before === null || id === before;
}

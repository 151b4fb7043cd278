/**
 * Reads the chunks of an event stream that differ from an earlier one in their words alone. Those are nearly all chunks of
 * most servers, and comparing costs a fraction of parsing. Whatever is not exactly such a chunk is left to who parses.
 *
 *   F1  what is read here is what parsing would have found
 *   F2  only whole events are read, and only where an event begins
 */
import { isRecord } from '../runs/record.ts';

/** Words that stand in JSON as they are, one byte each. */
const AS_THEY_ARE = /^[ !#-[\]-~]*$/;
/** A string under that name, with its content. */
const CONTENT = /"content"\s*:\s*"((?:[^"\\]|\\.)*)"/g;
/** What cannot be compared byte by byte, or would end a line. */
const NOT_PLAIN = /[^\x20-\x7e]/;
const FIELDS = ['data: ', 'data:'] as const;
const ENDS = ['\n\n', '\r\n\r\n'] as const;
/** A word that no server says; it shows which string of a chunk is its content. */
const PROBE = 'longrun 5ac1b7';
/** How often an example is taken from a server whose next chunk was another. */
const MAX_TRIES = 8;

/** The chunks of one answer. */
export class PlainChunks {
  /** What such an event has before and after its words; empty as long as there is no example. */
  #before = '';
  #after = '';
  /** The present packet ends where an event ends. */
  #isBetween = false;
  #triesLeft = MAX_TRIES;

  /** Whether an example would help. */
  get isCurious(): boolean {
    return this.#triesLeft > 0;
  }

  /**
   * Reads what it can from the beginning of a packet.
   * @param take called with the words of each chunk, in order
   * @returns how many bytes were read; the rest is to be parsed
   */
  read(packet: Buffer, take: (words: string) => void): number {
    if (!this.#isBetween || this.#before === '') return 0;
    const text = packet.toString('latin1');
    let read = 0;
    while (text.startsWith(this.#before, read)) {
      const from = read + this.#before.length;
      const to = text.indexOf(this.#after, from);
      const words = to === -1 ? null : wordsOf(text.slice(from, to), packet, from, to);
      if (words === null) break;
      read = to + this.#after.length;
      this.#triesLeft = MAX_TRIES;
      take(words);
    }
    return read;
  }

  /**
   * Hears what was parsed.
   * @param packet what followed upon what was read
   * @param last the last event in it, and the chunk in that; null where there was none
   */
  parsed(packet: Buffer, last: { readonly data: string; readonly chunk: unknown } | null): void {
    const text = packet.toString('latin1', Math.max(0, packet.length - MAX_END));
    this.#isBetween = ENDS.some((end) => text.endsWith(end));
    if (!this.#isBetween || last === null || !this.isCurious || contentOf(last.chunk) === null) return;
    this.#triesLeft -= 1;
    const [before, after] = aroundContent(last.data);
    const whole = packet.toString('latin1');
    const field = FIELDS.find((name) => whole.includes(`${name}${before}`));
    const end = ENDS.find((blank) => whole.endsWith(`${after}${blank}`));
    const isExample = before !== '' && field !== undefined && end !== undefined;
    this.#before = isExample ? `${field}${before}` : '';
    this.#after = isExample ? `${after}${end}` : '';
  }
}

const MAX_END = Math.max(...ENDS.map((end) => end.length));

/** What a string of JSON says; null where it is none. */
function wordsOf(json: string, packet: Buffer, from: number, to: number): string | null {
  if (AS_THEY_ARE.test(json)) return json;
  try {
    const words: unknown = JSON.parse(`"${packet.toString('utf8', from, to)}"`);
    return typeof words === 'string' ? words : null;
  } catch {
    return null;
  }
}

/** A chunk before and after its words; empty where they are not found. */
function aroundContent(data: string): readonly [before: string, after: string] {
  for (const match of data.matchAll(CONTENT)) {
    const end = match.index + match[0].length - 1;
    const before = data.slice(0, end - (match[1] ?? '').length);
    const after = data.slice(end);
    if (NOT_PLAIN.test(before) || NOT_PLAIN.test(after)) break;
    if (contentOf(parsed(`${before}${PROBE}${after}`)) === PROBE) return [before, after];
  }
  return ['', ''];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The words of a chunk that has nothing but words: no end, no usage, no logprobs, no field beside them. Null for others. */
function contentOf(chunk: unknown): string | null {
  if (!isRecord(chunk) || isRecord(chunk['usage']) || !Array.isArray(chunk['choices'])) return null;
  const choices: readonly unknown[] = chunk['choices'];
  const [choice] = choices;
  if (choices.length !== 1 || !isRecord(choice) || !isRecord(choice['delta'])) return null;
  const { index, delta, ...more } = choice;
  if (index !== undefined && index !== 0) return null;
  const others = Object.entries(delta).filter(([name]) => name !== 'content' && name !== 'role');
  if ([...Object.values(more), ...others.map(([, value]) => value)].some((value) => value !== null))
    return null;
  return typeof delta['content'] === 'string' ? delta['content'] : null;
}

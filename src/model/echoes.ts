/**
 * What a refusal repeats of the request that it refuses. Servers quote values in their errors, so a caller can put words
 * into a server's mouth: what is kept for other callers must be learned from the rest. Pure.
 */
import type { UpstreamRefusal } from './failure.ts';
import { isRecord } from '../runs/record.ts';

/** So many words in a row are a quotation, and so is a whole value of fewer, but no single word. */
const RUN = 4;
/** What is read of each text of a refusal; others read no more of it. */
const MAX_TEXT = 4_000;
const MAX_TEXTS = 256;
const MAX_DEPTH = 8;

/** Chinese is written without blanks. */
const WORD = /\p{Script=Han}|[[\p{L}\p{N}_]--\p{Script=Han}]+/gv;
const ESCAPE = /\\+(?:u([\da-f]{4})|[nrtbf])/gi;

/** The refusal without what its request says as well. @param body the request */
export function withoutEchoes(refusal: UpstreamRefusal, body: object): UpstreamRefusal {
  const read = [refusal.words, ...textsIn(refusal.said)].slice(0, MAX_TEXTS);
  const runs = new Set(read.flatMap((text) => runsIn(wordsIn(unescaped(text.slice(0, MAX_TEXT))))));
  const echoes = new Set<string>();
  const look = (value: unknown): void => {
    if (typeof value === 'string') for (const run of quotable(value)) if (runs.has(run)) echoes.add(run);
    if (typeof value !== 'object' || value === null) return;
    for (const [name, inner] of Object.entries(value)) {
      look(name);
      look(inner);
    }
  };
  look(body);
  if (echoes.size === 0) return refusal;
  const strip = (text: string): string => without(unescaped(text.slice(0, MAX_TEXT)), echoes);
  return { ...refusal, words: strip(refusal.words), said: mapped(refusal.said, strip) };
}

function textsIn(said: unknown, depth = 0): readonly string[] {
  if (typeof said === 'string') return [said];
  if (typeof said !== 'object' || said === null || depth > MAX_DEPTH) return [];
  return Object.values(said).flatMap((inner: unknown) => textsIn(inner, depth + 1));
}

/** The same value with other texts; what lies too deep to be read is left out. */
function mapped(said: unknown, change: (text: string) => string, depth = 0): unknown {
  if (typeof said === 'string') return change(said);
  if (depth > MAX_DEPTH) return null;
  if (Array.isArray(said)) return said.map((inner: unknown) => mapped(inner, change, depth + 1));
  if (!isRecord(said)) return said;
  return Object.fromEntries(
    Object.entries(said).map(([name, inner]) => [name, mapped(inner, change, depth + 1)]),
  );
}

/** The text without the escapes with which values are printed. */
function unescaped(text: string): string {
  return text.replaceAll(ESCAPE, (_all, hex: string | undefined) =>
    hex === undefined ? ' ' : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function wordsIn(text: string): readonly string[] {
  return text.toLowerCase().match(WORD) ?? [];
}

/** All runs of words that may be quotations. */
function runsIn(words: readonly string[]): readonly string[] {
  return words.flatMap((_word, at) =>
    Array.from({ length: RUN - 1 }, (_none, more) => words.slice(at, at + 2 + more).join(' ')),
  );
}

/** The runs of words by which a value would be recognised. */
function* quotable(value: string): Generator<string, void> {
  const last: string[] = [];
  let count = 0;
  for (const [word] of unescaped(value).toLowerCase().matchAll(WORD)) {
    last.push(word);
    count += 1;
    if (last.length > RUN) last.shift();
    if (last.length === RUN) yield last.join(' ');
  }
  if (count > 1 && count < RUN) yield last.join(' ');
}

function without(text: string, echoes: ReadonlySet<string>): string {
  const found = [...text.matchAll(WORD)];
  const words = found.map(([word]) => word.toLowerCase());
  const isEcho = words.map(() => false);
  for (let at = 0; at < words.length; at += 1) {
    for (let length = 2; length <= RUN; length += 1)
      if (echoes.has(words.slice(at, at + length).join(' '))) isEcho.fill(true, at, at + length);
  }
  let place = -1;
  return text.replaceAll(WORD, (word) => {
    place += 1;
    return isEcho[place] === true ? ' ' : word;
  });
}

/**
 * What a model server's refusal complains about, taken apart: one clause for each complaint. Servers write them as
 * sentences, as lists of errors with the place of each (FastAPI, Mistral), and as such lists printed into a sentence
 * (SGLang, older vLLM). Pure.
 */
import type { UpstreamRefusal } from './failure.ts';
import { isRecord, stringOr } from './json.ts';

/** One complaint. */
export interface Clause {
  readonly text: string;
  /** The names on the way to the field it is about, without indices: `['messages', 'assistant', 'name']`; null where it is only in the text. */
  readonly place: readonly string[] | null;
}

/** Refusals may repeat the request; what matters comes first. */
const MAX_TEXT = 4_000;
const MAX_CLAUSES = 64;
const MAX_DEPTH = 5;
const MAX_MESSAGE = 300;

/** The complaints of a refusal, at most 64. */
export function clausesOf({ said, words, param }: UpstreamRefusal): readonly Clause[] {
  const listed = [...listedIn(said), ...printedIn(words)];
  const place = param === null ? [] : placeOf(param.slice(0, MAX_MESSAGE).split(/[^\w$-]+/));
  // What is no sentence but a printed list repeats values of the request.
  const isPrinted = listed.length > 0 && /loc['"]|^\s*[[{]/.test(words);
  const texts = [...(isPrinted ? [] : [words]), ...asidesIn(said)];
  const sentences = texts.flatMap((text) => sentencesOf(text.slice(0, MAX_TEXT)));
  const spoken = sentences.map((text) => ({ text, place: place.length > 0 ? place : null }));
  return [...listed, ...spoken].slice(0, MAX_CLAUSES);
}

/** Fields that name where an error is, and what it is, in a list of errors. */
const PLACES = ['loc', 'path', 'field', 'param', 'property'] as const;
const MESSAGES = ['msg', 'message', 'description', 'reason', 'error'] as const;
const LISTS = ['error', 'detail', 'details', 'message', 'errors', 'issues', 'fieldViolations'] as const;

/** Errors in lists that say where they are, wherever in the answer they are. */
function listedIn(said: unknown, isItem = false, depth = 0): readonly Clause[] {
  if (depth > MAX_DEPTH) return [];
  if (Array.isArray(said)) return said.flatMap((each: unknown) => listedIn(each, depth > 0, depth + 1));
  if (!isRecord(said)) return [];
  const found: unknown = PLACES.map((name) => said[name]).find((value) => value !== undefined);
  const names = Array.isArray(found) ? found.map(String) : stringOr(found).split(/[^\w$-]+/);
  const place = placeOf(names.slice(0, MAX_CLAUSES));
  if (!isItem || place.length === 0) return LISTS.flatMap((name) => listedIn(said[name], false, depth + 1));
  const message = MESSAGES.map((name) => stringOr(said[name])).find((text) => text !== '') ?? '';
  const text = `${place.join('.')}: ${message.slice(0, MAX_MESSAGE)} (${stringOr(said['type']).slice(0, MAX_MESSAGE)})`;
  return [{ text, place }];
}

/** What is said beside the message. */
function asidesIn(said: unknown): readonly string[] {
  if (!isRecord(said)) return [];
  const more = [said, said['error']].filter((each) => isRecord(each));
  return more.flatMap((each) =>
    ['detail', 'description', 'error_description', 'reason', 'hint'].map((name) => stringOr(each[name])),
  );
}

const PRINTED = /['"]loc['"]: ?[([]([^)\]]{0,300})[)\]]([^{}]{0,300})/g;

/** The same errors, printed into a sentence. */
function printedIn(words: string): readonly Clause[] {
  return [...words.slice(0, MAX_TEXT).matchAll(PRINTED)].map(([, loc = '', rest = '']) => {
    const place = placeOf(loc.split(',').map((name) => name.replaceAll(/['"\s]/g, '')));
    const [, message = rest] = /['"]msg['"]: ?['"]([^'"]*)/.exec(rest) ?? [];
    return { text: `${place.join('.')}: ${message}`, place };
  });
}

function placeOf(names: readonly string[]): readonly string[] {
  return names.filter((name) => name !== '' && name !== 'body' && name !== '$' && !/^\d+$/.test(name));
}

/** Sentences and lines; the items of a list belong to the sentence before it. */
function sentencesOf(words: string): readonly string[] {
  const sentences: string[] = [];
  for (const piece of words.split(/\n+|(?<=[.;!?。；])\s+|[。；]/)) {
    const text = piece.trim();
    const before = sentences.at(-1);
    if (text === '') continue;
    if (before !== undefined && (before.endsWith(':') || /^(?:[-*•]|\d+[.)])\s/.test(text)))
      sentences[sentences.length - 1] = `${before} ${text}${before.endsWith(':') ? ':' : ''}`;
    else sentences.push(text);
  }
  return sentences;
}

/**
 * What a model server's refusal complains about, taken apart: one clause for each complaint. Servers write them as
 * sentences, as lists of errors with the place of each (FastAPI, Mistral), and as such lists printed into a sentence
 * (SGLang, older vLLM). Pure.
 */
import type { UpstreamRefusal } from './failure.ts';
import { isRecord } from '../runs/record.ts';
import { stringOr } from './json.ts';
import { deeperIn } from './said-errors.ts';

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
  const texts = [...(isPrinted ? [] : [words]), ...asidesIn(said), ...pageIn(said)];
  const sentences = texts.flatMap((text) => sentencesOf(text.slice(0, MAX_TEXT)));
  const spoken = sentences.map((text) => ({ text, place: place.length > 0 ? place : null }));
  return [...listed, ...spoken].slice(0, MAX_CLAUSES);
}

/** Fields that name where an error is, and what it is, in a list of errors. */
const PLACES = ['loc', 'path', 'field', 'param', 'property', 'target'] as const;
const MESSAGES = ['msg', 'message', 'description', 'reason', 'error'] as const;
const LISTS = [
  'error',
  'detail',
  'details',
  'message',
  'errors',
  'issues',
  'fieldViolations',
  'validation',
] as const;
/** Lists of names, such as `unsupported_fields`, which is a complaint in itself. */
const NAMED =
  /^(?:un\w+|extra|forbidden|invalid|disallowed|rejected)_?(?:fields?|param(?:eter)?s?|arguments?|keys?|propert(?:y|ies))$/i;

/** Errors in lists that say where they are, wherever in the answer they are. */
function listedIn(said: unknown, isItem = false, depth = 0): readonly Clause[] {
  if (depth > MAX_DEPTH) return [];
  if (Array.isArray(said)) return said.flatMap((each: unknown) => listedIn(each, depth > 0, depth + 1));
  if (!isRecord(said)) return [];
  const inner = deeperIn(said).flatMap((each) => listedIn(each, false, depth + 1));
  if (inner.length > 0) return inner;
  const named = namedIn(said);
  const found: unknown = PLACES.map((name) => said[name]).find((value) => value !== undefined);
  const names = Array.isArray(found) ? found.map(String) : stringOr(found).split(/[^\w$-]+/);
  const place = placeOf(names.slice(0, MAX_CLAUSES));
  if (!isItem || place.length === 0) {
    const listed = LISTS.flatMap((name) => listedIn(said[name], false, depth + 1));
    return [...named, ...listed];
  }
  const message = MESSAGES.map((name) => stringOr(said[name])).find((text) => text !== '') ?? '';
  const text = `${place.join('.')}: ${message.slice(0, MAX_MESSAGE)} (${stringOr(said['type']).slice(0, MAX_MESSAGE)})`;
  return [{ text, place }];
}

/** Fields that are named by a key or as a value of their own: Ajv, Zod, Laravel, and lists of names. */
function namedIn(said: Readonly<Record<string, unknown>>): readonly Clause[] {
  const complaints = Object.entries(said).flatMap(([key, value]) => {
    const names = NAMED.test(key) || key === 'keys' ? stringsIn(value) : [];
    return names.map((name) => [name, key === 'keys' ? 'unrecognized keys' : key.replaceAll('_', ' ')]);
  });
  const { params, errors } = said;
  const extra = isRecord(params) ? stringsIn(params['additionalProperty']) : [];
  const byName = isRecord(errors) ? Object.entries(errors) : [];
  return [
    ...complaints,
    ...extra.map((name) => [name, 'additional property']),
    ...byName.flatMap(([name, why]) => stringsIn(why).map((text) => [name, text])),
  ].flatMap(([name = '', why = '']) => {
    const place = placeOf(name.slice(0, MAX_MESSAGE).split(/[^\w$-]+/));
    return place.length === 0 ? [] : [{ text: `${name}: ${why.slice(0, MAX_MESSAGE)}`, place }];
  });
}

function stringsIn(value: unknown): readonly string[] {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  return all.filter((each) => typeof each === 'string');
}

/** The words of a page of HTML. */
function pageIn(said: unknown): readonly string[] {
  if (typeof said !== 'string' || !/^\s*</.test(said)) return [];
  const page = said.slice(0, MAX_TEXT).replaceAll(/<(style|script)\b[^]*?<\/\1>/gi, ' ');
  return [page.replaceAll(/<[^>]*>/g, '\n')];
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

/**
 * Makes results fit for the tool's answer: plain text, web addresses, and few enough bytes. Client scripts cut the
 * answer to 8,000 characters, and JSON cut in the middle is no longer JSON.
 */
import { cut } from '../web/cut.ts';
import { textOf } from '../web/text.ts';
import { isOn, type SearchResult } from './provider.ts';

/** Size of the whole answer as JSON, in the spelling that careless shells leave alone. */
export const MAX_ANSWER_BYTES = 8_000;

/** Text is cut to this before it is processed, because a provider may send any length. */
const MAX_RAW_CHARACTERS = 4_000;
const MAX_TITLE_CHARACTERS = 160;
const MAX_SNIPPET_CHARACTERS = 1_000;
/** A longer address is of no use to a person, and a cut one would lead nowhere. */
const MAX_URL_CHARACTERS = 500;
/** If less room than this is left for each snippet, one result is dropped instead. */
const MIN_SNIPPET_BYTES = 300;

/** The results that can be shown, on these sites only: their text without HTML, in one line each. */
export function presentable(
  results: readonly SearchResult[],
  sites: readonly string[],
): readonly SearchResult[] {
  return results.flatMap(({ title, url, snippet }) => {
    const address = URL.parse(url);
    if (address === null || !/^https?:$/.test(address.protocol) || !isOn(address, sites)) return [];
    if (address.href.length > MAX_URL_CHARACTERS) return [];
    return {
      title: oneLine(title, MAX_TITLE_CHARACTERS) || address.hostname,
      url: address.href,
      snippet: oneLine(snippet, MAX_SNIPPET_CHARACTERS),
    };
  });
}

/**
 * The results, with snippets cut to equal shares of the room beside `frame`, the rest of the answer. The last results
 * are dropped if necessary.
 */
export function fitted(results: readonly SearchResult[], frame: unknown): readonly SearchResult[] {
  const room = MAX_ANSWER_BYTES - costOf(JSON.stringify(frame));
  for (let kept = results; kept.length > 0; kept = kept.slice(0, -1)) {
    const bare = kept.map((result) => costOf(JSON.stringify({ ...result, snippet: '' })) + ','.length);
    const share = Math.floor((room - bare.reduce((sum, cost) => sum + cost, 0)) / kept.length);
    if (share >= MIN_SNIPPET_BYTES)
      return kept.map((result) => ({ ...result, snippet: cutToCost(result.snippet, share) }));
  }
  return [];
}

function oneLine(html: string, length: number): string {
  return cut(textOf(cut(html, MAX_RAW_CHARACTERS)).replaceAll(/\s+/g, ' '), length).trim();
}

function cutToCost(text: string, bytes: number): string {
  if (costOf(text) <= bytes) return text;
  let left = bytes - costOf('…');
  let end = 0;
  for (const character of text) {
    left -= costOf(character);
    if (left < 0) break;
    end += character.length;
  }
  return `${text.slice(0, end)}…`;
}

/**
 * The most bytes that a text may take: an ASCII character other than letters, digits and plain marks may become an
 * escape such as `\u0000`.
 */
function costOf(text: string): number {
  const escaped = text.match(/[\p{ASCII}--[A-Za-z0-9 ,.:;\/_=%\-]]/gv) ?? [];
  return Buffer.byteLength(text) + escaped.length * ('\\u0000'.length - 1);
}

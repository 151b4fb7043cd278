/**
 * Makes what providers say fit to be told: plain text, addresses of the web, and few enough bytes. Scripts hand the answer
 * on cut to 8,000 characters, and what was cut in the middle is no JSON any more.
 */
import { cut, textOf } from '../web/text.ts';
import { isOn, type SearchResult } from './provider.ts';

/** Of the whole answer as JSON, written so that careless shells leave it alone. */
export const MAX_ANSWER_BYTES = 8_000;

/** What comes is cut before it is looked at: it may be as long as the provider likes. */
const MAX_RAW_CHARACTERS = 4_000;
const MAX_TITLE_CHARACTERS = 160;
const MAX_SNIPPET_CHARACTERS = 1_000;
/** A longer address says nothing to a person, and cut it would lead nowhere. */
const MAX_URL_CHARACTERS = 500;
/** Less room than this is not worth a snippet: then there is one result fewer. */
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

/** The results with snippets cut to equal shares of the room that `frame`, the answer without them, leaves; the last ones go. */
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

/** How many bytes a text may take at worst: what is ASCII but no letter, digit or plain mark may be written as `\u0000`. */
function costOf(text: string): number {
  const escaped = text.match(/[\p{ASCII}--[A-Za-z0-9 ,.:;\/_=%\-]]/gv) ?? [];
  return Buffer.byteLength(text) + escaped.length * ('\\u0000'.length - 1);
}

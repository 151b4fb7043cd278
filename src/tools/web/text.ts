/**
 * Extracts the text of untrusted HTML: what a reader of the page would read, with a line for each block. It never
 * builds a tree, so no nesting is too deep, and every pattern walks the text once, so no page can slow it down. The
 * parser is large: tools load this file at their first call.
 */
import { DOMParser } from 'linkedom';

/**
 * Parts of a page that are for browsers, not for readers. An unclosed part reaches to the end of the page, as in browsers.
 */
const UNREAD =
  /<!--[^]*?(?:-->|$)|<(script|style|template|noscript|iframe|svg|head)(?=[\s/>])[^]*?(?:<\/\1\s*>|$)/gi;
/** A `>` inside a quoted value does not end its tag. */
const TAG = /<(?:(\/?)([a-z][^\s/>]*)|[!?])(?:=\s*"[^"]*(?:"|$)|=\s*'[^']*(?:'|$)|[^>])*?(?:>|$)/gi;
/** Elements that stand on lines of their own, with a blank line around them or without. */
const PARAGRAPHS = /^(?:article|blockquote|dl|figure|h[1-6]|hr|main|ol|p|pre|section|table|ul)$/;
const LINES = /^(?:address|aside|br|dd|div|dt|figcaption|footer|form|header|li|nav|option|summary|tr)$/;
/** Marks where paragraphs and lines end; one mark counts, however many elements end there. Both are whitespace. */
const PARAGRAPH = '\f';
const LINE = '\v';
const CELLS = /^(?:td|th)$/;
/** Control characters, and characters that reverse text or hide it from people but not from models. */
const UNSEEN = /[\p{Cc}--\s]|[\u202A-\u202E\u2066-\u2069]|[\u{E0000}-\u{E007F}]/gv;

/** The readable text of a page or of a piece of one: paragraphs divided by blank lines, entities decoded. */
export function textOf(html: string): string {
  const text = withoutCode(html)
    .replaceAll(/\s+/g, ' ')
    .replace(TAG, (_tag, slash: string | undefined, name: string | undefined) =>
      spaceFor(slash === '/', (name ?? '').toLowerCase()),
    );
  return decoded(text).replaceAll(UNSEEN, '').replaceAll(/\s+/g, asWritten).trim().toWellFormed();
}

/** The page without scripts, styles, comments and other parts that are not for reading. */
export function withoutCode(html: string): string {
  return html.replaceAll(UNREAD, ' ');
}

function spaceFor(closes: boolean, name: string): string {
  if (PARAGRAPHS.test(name)) return PARAGRAPH;
  if (name === 'li' && !closes) return `${LINE}- `;
  if (LINES.test(name)) return LINE;
  return CELLS.test(name) ? ' ' : '';
}

function asWritten(space: string): string {
  if (space.includes(PARAGRAPH)) return '\n\n';
  return space.includes(LINE) ? '\n' : ' ';
}

/** Without tags, the parser only decodes entities. */
function decoded(text: string): string {
  if (!text.includes('&')) return text;
  return new DOMParser().parseFromString(`<p>${text}</p>`, 'text/html').documentElement?.textContent ?? '';
}

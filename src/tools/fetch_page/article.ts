/**
 * The readable text of a web page: its main text as Mozilla's reader view finds it, or else all of its text. Bounds what
 * the reader view gets, because its effort grows with the square of the nesting. Never fails, whatever the page is.
 */
import { Readability } from '@mozilla/readability';
import { DOMParser } from 'linkedom';
import { textOf, withoutCode } from '../web/text.ts';

/** Real pages stay below 60; a depth of 200 costs a fifth of a second, 800 costs three seconds. */
const MAX_NESTING = 200;
/** Long articles have some thousands of elements. */
const MAX_ELEMENTS = 30_000;

export interface Article {
  /** Empty when the page has none. */
  readonly title: string;
  readonly byline: string | null;
  readonly text: string;
}

/** Reads a page of HTML. The text is empty when there is nothing to read, as on pages that scripts fill. */
export function readArticle(html: string): Article {
  const readable = withoutCode(html.replaceAll(/<\/?(?:head|noscript)(?=[\s/>])[^>]*(?:>|$)/gi, ' '));
  const [, title = ''] = TITLE.exec(readable) ?? [];
  const body = readable.replace(TITLE, ' ');
  const found = mainText(title, body);
  return {
    title: found?.title || oneLine(title),
    byline: found?.byline || null,
    text: found?.text || textOf(body),
  };
}

const TITLE = /<title(?=[\s/>])[^>]*(?:>|$)([^]*?)(?:<\/title\s*>|$)/i;

function mainText(title: string, html: string): Article | null {
  if (nestingOf(html) > MAX_NESTING) return null;
  try {
    const document = new DOMParser().parseFromString(wholePage(title, html), 'text/html');
    const options = { maxElemsToParse: MAX_ELEMENTS, disableJSONLD: true };
    const article = new Readability(document, options).parse();
    if (article === null) return null;
    return {
      title: oneLine(article.title ?? ''),
      byline: oneLine(article.byline ?? ''),
      text: textOf(article.content ?? ''),
    };
  } catch {
    // Either library may fail on some page; then the page's whole text is the answer.
    return null;
  }
}

/** The page as a complete document: the parser does not add missing elements, and the reader view looks for a body. */
function wholePage(title: string, html: string): string {
  const inside = html.replaceAll(/<(?:!doctype|\/?(?:html|body))(?=[\s/>])[^>]*(?:>|$)/gi, ' ');
  return `<!doctype html><html><head><title>${title}</title></head><body>${inside}</body></html>`;
}

/** Elements that never hold others, or that HTML closes by itself before the next one of their kind. */
const FLAT = new Set(
  'area base br col embed hr img input link meta source track wbr p li dt dd td th tr tbody thead tfoot option'.split(
    ' ',
  ),
);

/** The greatest nesting of the page; an estimate, because only tags are counted. */
function nestingOf(html: string): number {
  const open = new Map<string, number>();
  let depth = 0;
  let deepest = 0;
  for (const [, slash, tag = ''] of html.matchAll(/<(\/?)([a-z][^\s/>]*)/gi)) {
    const name = tag.toLowerCase();
    const count = open.get(name) ?? 0;
    if (FLAT.has(name) || (slash === '/' && count === 0)) continue;
    const step = slash === '/' ? -1 : 1;
    open.set(name, count + step);
    depth += step;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

function oneLine(html: string): string {
  return textOf(html).replaceAll(/\s+/g, ' ');
}

/** The text of a page of HTML. */
import { readArticle } from '../tools/fetch_page/article.ts';
import { textOf } from '../tools/web/text.ts';
import { decoded } from './text.ts';

/** Longer pages are not searched for their main part, because that builds a tree. */
const MAX_TREE_CHARACTERS = 2_000_000;
/** How far a page may name its encoding. */
const CHARSET_BYTES = 2_048;
const CHARSET = /<meta[^>]+charset\s*=\s*["']?\s*([\w-]+)/i;

/** @throws {DocumentRefusal} for what is no text. */
export function textOfHtml(bytes: Uint8Array): string {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, CHARSET_BYTES));
  const html = decoded(bytes, CHARSET.exec(head.toString('latin1'))?.[1] ?? null);
  const all = textOf(html);
  if (html.length > MAX_TREE_CHARACTERS) return all;
  const { title, text } = readArticle(html);
  // The main part is a guess. Where it would leave out most of the page, the page is not an article.
  const main = text.length * 2 >= all.length ? text : all;
  return title === '' || main.startsWith(title) ? main : `${title}\n\n${main}`;
}

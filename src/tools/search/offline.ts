/**
 * Search without a network or a key: ranks a handful of built-in notes by the keywords they share with the query. The
 * same query gives the same results on every machine, and every answer says where it comes from.
 */
import { NOTES, type Note } from './notes.ts';
import {
  isOn,
  takeApart,
  type Market,
  type SearchProvider,
  type SearchQuery,
  type SearchResult,
} from './provider.ts';

const NOTICE =
  'These results come from a few notes built into the server (offline search). Nothing was looked up on the web.';

/** A word in the title says more about a note than a word in its text. */
const TITLE_WEIGHT = 3;

/** The provider that needs no set-up. */
export function createOfflineSearch(): SearchProvider {
  return {
    name: 'offline',
    notice: NOTICE,
    async search(query, { signal }) {
      signal.throwIfAborted();
      return rank(query);
    },
  };
}

function rank({ q, market, limit }: SearchQuery): readonly SearchResult[] {
  const { sites, words } = takeApart(q);
  const wanted = keywords(words);
  return NOTES.filter((note) => isOn(new URL(note.url), sites))
    .map((note) => ({ note, score: scoreOf(note, wanted) }))
    .filter(({ score }) => score > 0 || (wanted.size === 0 && sites.length > 0))
    .toSorted((a, b) => b.score - a.score)
    .slice(0, limit)
    .map(({ note }) => resultOf(note, market));
}

/** Keywords of both languages count, because people mix them; the market only decides the language of the result. */
function scoreOf(note: Note, wanted: ReadonlySet<string>): number {
  const inTitle = wanted.intersection(keywords(`${note.en.title} ${note.zh.title}`)).size;
  const inText = wanted.intersection(keywords(`${note.en.snippet} ${note.zh.snippet}`)).size;
  return inTitle * TITLE_WEIGHT + inText;
}

function resultOf(note: Note, market: Market): SearchResult {
  const { title, snippet } = market === 'zh-TW' ? note.zh : note.en;
  return { title, url: note.url, snippet };
}

/** Words in lower case; Chinese, which has no spaces, in overlapping pairs of characters. */
function keywords(text: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const [run] of text
    .normalize('NFKC')
    .toLowerCase()
    .matchAll(/\p{Script=Han}+|[[\p{L}\p{M}\p{N}]--\p{Script=Han}]+/gv)) {
    if (!/^\p{Script=Han}/u.test(run)) {
      if (!STOP_WORDS.has(run)) found.add(run);
      continue;
    }
    const characters = Array.from(run);
    if (characters.length === 1) found.add(run);
    for (const [index, second] of characters.slice(1).entries()) found.add(`${characters[index]}${second}`);
  }
  return found;
}

/** Words that occur in every sentence, and so cannot tell notes apart. */
const STOP_WORDS: ReadonlySet<string> = new Set(
  'a an and are as at by does for from how i in is it me my of on or that the this to was what when where who with you'.split(
    ' ',
  ),
);

/** Where search results come from: the one interface that every search engine's adapter implements. */

/** The markets a search can be made in: the language and region of its results. */
export const MARKETS = ['zh-TW', 'en-US'] as const;

export type Market = (typeof MARKETS)[number];

export interface SearchQuery {
  /** Keywords, perhaps with operators such as `site:example.com`; never empty. */
  readonly q: string;
  readonly market: Market;
  /** How many results at most. */
  readonly limit: number;
}

export interface SearchResult {
  readonly title: string;
  readonly url: string;
  readonly snippet: string;
}

export interface SearchProvider {
  /** Which provider answered; part of the tool's answer. */
  readonly name: string;
  /** What a reader of the results must know about all of them, or null. */
  readonly notice: string | null;
  /** The best results first, at most `limit`; none when nothing fits. Aborting `signal` ends the search at once. */
  search(query: SearchQuery, signal: AbortSignal): Promise<readonly SearchResult[]>;
}

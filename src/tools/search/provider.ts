/**
 * Where search results come from: the interface that every search engine's adapter implements, and how to take a query
 * apart for engines that need it.
 */
import type { ToolFetch } from '../../runs/tool.ts';

/** The markets of a search: the language and region of its results. */
export const MARKETS = ['zh-TW', 'en-US'] as const;

export type Market = (typeof MARKETS)[number];

export interface SearchQuery {
  /** Keywords, perhaps with operators such as `site:example.com`; never empty. */
  readonly q: string;
  readonly market: Market;
  /** How many results are wanted. */
  readonly limit: number;
}

/** As the provider sends it: HTML, any address and any length are possible. */
export interface SearchResult {
  readonly title: string;
  readonly url: string;
  readonly snippet: string;
}

/** What a provider is given for one search. */
export interface SearchMeans {
  readonly fetch: ToolFetch;
  /** Aborted when the provider's share of the tool's time is over; that ends the search at once. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

export interface SearchProvider {
  /** Which provider answered; part of the tool's answer. */
  readonly name: string;
  /** What a reader of the results must know about all of them, or null. */
  readonly notice: string | null;
  /**
   * The best results first; none when nothing fits.
   * @throws when the provider cannot answer; then the next one is asked.
   */
  search(query: SearchQuery, means: SearchMeans): Promise<readonly SearchResult[]>;
}

const SITE = /(?<!\S)site:(?:https?:\/\/)?(?:\*\.)?([^\s/]*)\S*/giu;

/** The hosts to which `site:` limits a query, in lower case, and the query's other words. */
export function takeApart(q: string): { readonly sites: readonly string[]; readonly words: string } {
  const hosts = [...q.matchAll(SITE)]
    .map(([, host = '']) => host.toLowerCase())
    .filter((host) => host !== '');
  return { sites: [...new Set(hosts)], words: q.replaceAll(SITE, ' ').replaceAll(/\s+/g, ' ').trim() };
}

/** Whether `url` lies on one of `sites` or below it; without sites, everything does. */
export function isOn(url: URL, sites: readonly string[]): boolean {
  return (
    sites.length === 0 ||
    sites.some((site) => url.hostname === asHostname(site) || url.hostname.endsWith(`.${asHostname(site)}`))
  );
}

/** The name in its URL form: `例子.tw` becomes `xn--fsqu00a.tw`. */
function asHostname(site: string): string {
  return URL.parse(`http://${site}`)?.hostname ?? site;
}

/** Search by Brave's API (https://api-dashboard.search.brave.com/api-reference/web/search/get). */
import { z } from 'zod';
import { cut } from '../web/cut.ts';
import { ask, resultsSchema } from './ask.ts';
import { takeApart, type Market, type SearchProvider } from './provider.ts';

const BASE_URL = 'https://api.search.brave.com';
/** Longer queries are refused. */
const MAX_CHARACTERS = 400;
const MAX_WORDS = 50;

const MARKETS: Readonly<Record<Market, Readonly<Record<string, string>>>> = {
  'zh-TW': { country: 'TW', search_lang: 'zh-hant' },
  'en-US': { country: 'US', search_lang: 'en' },
};

/** `web` is left out when nothing was found. */
const answerSchema = z.object({
  type: z.literal('search'),
  web: z.object({ results: resultsSchema }).optional(),
});

/** The provider for one key. `baseUrl` is for proxies with the same API. */
export function createBrave(apiKey: string, baseUrl = BASE_URL): SearchProvider {
  return {
    name: 'brave',
    notice: null,
    async search({ q, market, limit }, means) {
      const url = new URL('/res/v1/web/search', baseUrl);
      url.search = new URLSearchParams({
        q: shortened(q),
        count: String(limit),
        result_filter: 'web',
        text_decorations: 'false',
        ...MARKETS[market],
      }).toString();
      const headers = { accept: 'application/json', 'x-subscription-token': apiKey };
      const { web } = await ask(url, { headers }, answerSchema, means);
      return web?.results ?? [];
    },
  };
}

/** The query cut to the words that Brave takes. The `site:` operators are kept, because they say where to search. */
function shortened(q: string): string {
  if (q.length <= MAX_CHARACTERS && q.split(/\s+/).length <= MAX_WORDS) return q;
  const { sites, words } = takeApart(q);
  const operators = sites.map((site) => `site:${site}`).join(' ');
  const few = words
    .split(' ')
    .slice(0, MAX_WORDS - sites.length)
    .join(' ');
  return `${cut(few, Math.max(0, MAX_CHARACTERS - operators.length - 1))} ${operators}`.trim();
}

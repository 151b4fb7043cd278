/** Search by Tavily's API (https://docs.tavily.com/documentation/api-reference/endpoint/search). */
import { z } from 'zod';
import { cut } from '../web/cut.ts';
import { ask, resultsSchema } from './ask.ts';
import { takeApart, type Market, type SearchProvider } from './provider.ts';

const BASE_URL = 'https://api.tavily.com';
/** Longer queries are refused. */
const MAX_CHARACTERS = 400;

const COUNTRIES: Readonly<Record<Market, string>> = { 'zh-TW': 'taiwan', 'en-US': 'united states' };

const answerSchema = z.object({ results: resultsSchema });

/** The provider for one key. `baseUrl` is for proxies with the same API. */
export function createTavily(apiKey: string, baseUrl = BASE_URL): SearchProvider {
  return {
    name: 'tavily',
    notice: null,
    async search({ q, market, limit }, means) {
      const { sites, words } = takeApart(q);
      const body = {
        // Tavily takes sites as a separate list, and refuses an empty query.
        query: cut(words || q, MAX_CHARACTERS),
        max_results: limit,
        country: COUNTRIES[market],
        ...(sites.length > 0 && { include_domains: sites }),
      };
      const init = {
        method: 'POST',
        headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      };
      const { results } = await ask(new URL('/search', baseUrl), init, answerSchema, means);
      return results;
    },
  };
}

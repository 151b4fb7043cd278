/**
 * Search by the operator's own SearXNG server (https://docs.searxng.org/dev/search_api), which must have `json` among
 * its formats.
 */
import { z } from 'zod';
import { ask, resultsSchema } from './ask.ts';
import type { SearchProvider } from './provider.ts';

const answerSchema = z.object({ results: resultsSchema });

/** The provider over the server at `baseUrl`, which may have a path. */
export function createSearxng(baseUrl: string): SearchProvider {
  return {
    name: 'searxng',
    notice: null,
    async search({ q, market }, means) {
      const url = new URL('search', baseUrl.endsWith('/') ? baseUrl : `${baseUrl}/`);
      url.search = new URLSearchParams({ q, format: 'json', language: market }).toString();
      const { results } = await ask(url, { headers: { accept: 'application/json' } }, answerSchema, means);
      return results;
    },
  };
}

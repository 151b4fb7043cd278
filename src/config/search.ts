/** Settings of the tool SEARCH: its providers, and their addresses and keys. */
import { z } from 'zod';

const SEARCH_PROVIDERS = ['searxng', 'brave', 'tavily', 'offline'] as const;

export const searchFields = {
  /** The providers that the tool SEARCH asks, in this order; by default those that are set up below. */
  searchProviders: z
    .preprocess(
      (value) => (typeof value === 'string' ? value.split(',').map((name) => name.trim()) : value),
      z.array(z.enum(SEARCH_PROVIDERS), {
        error: `must be names divided by commas: ${SEARCH_PROVIDERS.join(', ')}`,
      }),
    )
    .default([]),
  /** The operator's own SearXNG server. A password in the URL would get into network logs. */
  searxngUrl: z
    .url({ protocol: /^https?$/ })
    .refine((address) => !/\/\/[^/]*@/.test(address), { error: 'must not hold a name or a password' })
    .optional(),
  braveApiKey: z.string().min(1).optional(),
  tavilyApiKey: z.string().min(1).optional(),
  /** The same search gets the same answer for this long. 0 is never. */
  searchCacheS: z.coerce.number().int().min(0).max(86_400).default(300),
};

type SearchConfig = Readonly<z.infer<z.ZodObject<typeof searchFields>>>;

/** The providers to ask: those that are named, or else those that are set up, or else the one that needs no set-up. */
export function searchProvidersOf(
  config: SearchConfig,
  report: (problem: string) => void,
): SearchConfig['searchProviders'] {
  const needs = [
    ['searxng', 'SEARXNG_URL', config.searxngUrl],
    ['brave', 'BRAVE_API_KEY', config.braveApiKey],
    ['tavily', 'TAVILY_API_KEY', config.tavilyApiKey],
  ] as const;
  if (config.searchProviders.length === 0) {
    const ready = needs.filter(([, , value]) => value !== undefined).map(([name]) => name);
    return ready.length > 0 ? ready : ['offline'];
  }
  for (const [name, variable, value] of needs) {
    if (value !== undefined || !config.searchProviders.includes(name)) continue;
    report(`SEARCH_PROVIDERS names ${name}, but ${variable} is not set. Set it, or leave ${name} out.`);
  }
  return config.searchProviders;
}

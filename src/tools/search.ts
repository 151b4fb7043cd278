/**
 * The tool `SEARCH`: web search over a provider. Owns the arguments, as assistants in the wild declare them, and the
 * answer's shape; where results come from is the provider's business.
 */
import { z } from 'zod';
import { ToolArgumentError, type Tool } from '../runs/tool.ts';
import { createOfflineSearch } from './search/offline.ts';
import { MARKETS, type Market, type SearchProvider, type SearchQuery } from './search/provider.ts';

const MAX_RESULTS = 5;
const DEFAULT_RESULTS = 3;
const DEFAULT_MARKET: Market = 'zh-TW';
/** Longer than any sensible query; models that paste a page into it are told so. */
const MAX_QUERY_CHARACTERS = 500;

const words = z.string().trim().min(1).max(MAX_QUERY_CHARACTERS);
// Declared as a string in assistants of the field, sent as a number by models.
const topk = z
  .union([
    z.number(),
    z
      .string()
      .trim()
      .regex(/^[+-]?\d+(\.\d+)?$/),
  ])
  .transform((value) => Math.min(MAX_RESULTS, Math.max(1, Math.trunc(Number(value)))));

const argumentsSchema = z.object({
  query: z.union([
    words.transform((q) => ({ q, mkt: undefined })),
    z.object({ q: words, mkt: z.unknown().optional() }),
  ]),
  topk: z.preprocess((value) => (value === '' ? null : value), topk.nullish()),
});

/** The tool over a given provider. */
export function createSearch(provider: SearchProvider): Tool {
  return {
    name: 'SEARCH',
    description:
      'Searches the web. Arguments: {"query": {"q": "five or more keywords, optionally site:example.com", ' +
      '"mkt": "zh-TW" or "en-US"}, "topk": "1" to "5"}.',
    timeoutMs: 10_000,
    async run(args, { signal }) {
      const results = await provider.search(queryOf(args), signal);
      return {
        provider: provider.name,
        ...(provider.notice !== null && { notice: provider.notice }),
        results,
      };
    },
  };
}

export default createSearch(createOfflineSearch());

function queryOf(args: unknown): SearchQuery {
  const parsed = argumentsSchema.safeParse(args);
  if (!parsed.success) throw new ToolArgumentError(adviceFor(parsed.error));
  const { query, topk: limit } = parsed.data;
  return { q: query.q, market: marketOf(query.mkt), limit: limit ?? DEFAULT_RESULTS };
}

/** Models send markets of their own choice whatever they are told; one that we lack is no reason not to search. */
function marketOf(value: unknown): Market {
  const wanted = String(value).toLowerCase();
  return MARKETS.find((market) => market.toLowerCase() === wanted) ?? DEFAULT_MARKET;
}

/** What the model should do otherwise. The schema's own words speak of unions, which help nobody. */
function adviceFor(error: z.ZodError): string {
  const shape = 'For example: {"query": {"q": "weather taipei tomorrow", "mkt": "en-US"}, "topk": "3"}.';
  const keys = new Set(error.issues.map((issue) => issue.path[0]));
  const advice = [
    ...(keys.has(undefined) ? ['The arguments must be a JSON object.'] : []),
    ...(keys.has('query') ? [`query.q must be 1 to ${MAX_QUERY_CHARACTERS} characters of keywords.`] : []),
    ...(keys.has('topk') ? [`topk must be a whole number from 1 to ${MAX_RESULTS}.`] : []),
  ];
  return [...advice, shape].join(' ');
}

/**
 * The tool `SEARCH`: web search over several providers; each is asked when those before it failed. Owns the arguments, in
 * the form that existing assistants declare, and the order and time of asking; each provider knows only its own engine.
 */
import { z } from 'zod';
import { defineTool, ToolError, type ToolContext } from '../runs/tool.ts';
import { createBrave } from './search/brave.ts';
import { createOfflineSearch } from './search/offline.ts';
import {
  MARKETS,
  takeApart,
  type Market,
  type SearchProvider,
  type SearchQuery,
  type SearchResult,
} from './search/provider.ts';
import { createSearxng } from './search/searxng.ts';
import { createTavily } from './search/tavily.ts';

const MAX_RESULTS = 5;
const DEFAULT_RESULTS = 3;
const DEFAULT_MARKET: Market = 'zh-TW';
/** Longer than any sensible query; a model that pastes a page into it gets an error. */
const MAX_QUERY_CHARACTERS = 500;
const TIMEOUT_MS = 10_000;
/** For all providers together; the rest of the tool's time is for reporting that none of them could answer. */
const ASKING_MS = 9_000;

const EXAMPLE = 'For example: {"query": {"q": "weather taipei tomorrow", "mkt": "en-US"}, "topk": "3"}.';
const QUERY_ADVICE = `query.q must be 1 to ${MAX_QUERY_CHARACTERS} characters of keywords. ${EXAMPLE}`;
const TOPK_ADVICE = `topk must be a whole number from 1 to ${MAX_RESULTS}. ${EXAMPLE}`;
const TOPKS = Array.from({ length: MAX_RESULTS }, (_, index) => String(index + 1));

const query = z.object(
  {
    q: z
      .string({ error: QUERY_ADVICE })
      .trim()
      .min(1, { error: QUERY_ADVICE })
      .max(MAX_QUERY_CHARACTERS, { error: QUERY_ADVICE })
      .describe(
        'Five or more keywords, divided by spaces. May end in site:example.com to search one site only.',
      ),
    // Models send markets that were not offered; an unknown market is no reason not to search.
    mkt: z
      .unknown()
      .meta({ type: 'string', enum: MARKETS, description: `Language and region. Default ${DEFAULT_MARKET}.` })
      .transform((wanted) => marketOf(wanted))
      .optional(),
  },
  { error: QUERY_ADVICE },
);

// Existing assistants declare it as a string, and models send it as a number.
const topk = z
  .string({ error: TOPK_ADVICE })
  .trim()
  .refine((text) => /^[+-]?\d+(\.\d+)?$/.test(text), { error: TOPK_ADVICE })
  .transform((text) => Math.min(MAX_RESULTS, Math.max(1, Math.trunc(Number(text)))))
  .optional()
  .meta({ enum: TOPKS, description: `How many results. Default ${DEFAULT_RESULTS}.` });

const parameters = z.object(
  {
    query: z.preprocess((value) => (typeof value === 'string' ? { q: value } : value), query),
    topk: z.preprocess((value) => {
      if (value === '' || value === null) return undefined;
      return typeof value === 'number' ? String(value) : value;
    }, topk),
  },
  { error: `The arguments must be a JSON object. ${EXAMPLE}` },
);

const settingsSchema = z.object({
  /** In the order of asking. */
  providers: z
    .array(z.enum(['searxng', 'brave', 'tavily', 'offline']))
    .min(1)
    .default(['offline']),
  searxngUrl: z.url({ protocol: /^https?$/ }).optional(),
  braveApiKey: z.string().min(1).optional(),
  tavilyApiKey: z.string().min(1).optional(),
  /** Other addresses with the same API: an operator's proxies, servers of tests. */
  baseUrls: z.object({ brave: z.url().optional(), tavily: z.url().optional() }).default({}),
});

type Settings = z.output<typeof settingsSchema>;

/** What the tool answers. */
export interface SearchAnswer {
  readonly provider: string;
  readonly notice?: string;
  readonly results: readonly SearchResult[];
}

export default defineTool({
  name: 'SEARCH',
  description:
    'Searches the web and gives titles, addresses and short extracts of the best results. Use it for news and for facts ' +
    'that you do not know for certain.',
  parameters,
  timeoutMs: TIMEOUT_MS,
  cacheS: 300,
  isolated: false,
  async run(
    { query: { q, mkt = DEFAULT_MARKET }, topk: limit = DEFAULT_RESULTS },
    context,
  ): Promise<SearchAnswer> {
    return askInTurn(providersOf(context.settings), { q, market: mkt, limit }, context);
  },
});

function marketOf(value: unknown): Market {
  const wanted = String(value).toLowerCase();
  return MARKETS.find((market) => market.toLowerCase() === wanted) ?? DEFAULT_MARKET;
}

async function askInTurn(
  providers: readonly SearchProvider[],
  query: SearchQuery,
  { fetch, log, signal }: ToolContext,
): Promise<SearchAnswer> {
  const deadline = performance.now() + ASKING_MS;
  for (const [index, provider] of providers.entries()) {
    const startedAt = performance.now();
    const timeoutMs = Math.max(1, Math.floor((deadline - startedAt) / (providers.length - index)));
    const timeUp = AbortSignal.timeout(timeoutMs);
    try {
      const means = { fetch, signal: AbortSignal.any([signal, timeUp]), timeoutMs };
      return await answerOf(provider, query, await provider.search(query, means));
    } catch (error) {
      signal.throwIfAborted();
      const reason = timeUp.aborted ? 'it did not answer in time' : reasonOf(error);
      const ms = Math.round(performance.now() - startedAt);
      log.warn({ provider: provider.name, reason, ms }, 'search provider failed');
    }
  }
  throw new ToolError('Search is not available now. Go on without it, and say that nothing was looked up.');
}

async function answerOf(
  { name, notice }: SearchProvider,
  { q, limit }: SearchQuery,
  found: readonly SearchResult[],
): Promise<SearchAnswer> {
  // What reads HTML is large, so it is loaded with the first results.
  const { fitted, presentable } = await import('./search/fit.ts');
  const frame = { provider: name, ...(notice !== null && { notice }), results: [] };
  const results = presentable(found, takeApart(q).sites).slice(0, limit);
  return { ...frame, results: fitted(results, frame) };
}

/**
 * A reason for operators, without query strings: network errors name the address, and what follows its `?` is the
 * user's search.
 */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replaceAll(/\?\S*/g, '').slice(0, 200);
}

/** @throws {ToolError} when the settings are invalid; the message is for the operator, to whom the model repeats it. */
function providersOf(settings: unknown): readonly SearchProvider[] {
  const parsed = settingsSchema.safeParse(settings);
  if (parsed.success) return parsed.data.providers.map((name) => providerOf(name, parsed.data));
  const places = parsed.error.issues.map(({ path }) => path.join('.') || 'all of them');
  throw new ToolError(`Search is not set up rightly. Its operator should check: ${places.join(', ')}.`);
}

function providerOf(name: Settings['providers'][number], settings: Settings): SearchProvider {
  switch (name) {
    case 'searxng':
      return createSearxng(needed(settings.searxngUrl, 'searxngUrl'));
    case 'brave':
      return createBrave(needed(settings.braveApiKey, 'braveApiKey'), settings.baseUrls.brave);
    case 'tavily':
      return createTavily(needed(settings.tavilyApiKey, 'tavilyApiKey'), settings.baseUrls.tavily);
    case 'offline':
      return createOfflineSearch();
  }
}

function needed(value: string | undefined, setting: string): string {
  if (value !== undefined) return value;
  throw new ToolError(
    `Search is not set up rightly. Its operator should check: ${setting}, which is missing.`,
  );
}

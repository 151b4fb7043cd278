/** Answers calls of file_search: reads the queries that the model wrote, searches the stores of the run, and picks what fits. */
import { setTimeout as sleep } from 'node:timers/promises';
import { calledFunction } from '../runs/calls/kinds.ts';
import type { FileResult } from '../runs/calls/file-search.ts';
import { queriesIn } from '../runs/calls/queries.ts';
import type { ShelfSearch } from '../runs/shelf.ts';
import type { HostedReply, HostedRequest } from '../runs/hosted.ts';
import { estimateTokens } from '../runs/tokens.ts';
import type { FileSearchTool } from '../runs/thread.ts';
import type { VectorStore } from '../runs/vector-store.ts';
import type { Logger } from '../log.ts';
import type { Engine } from './hosted.ts';

/** How many results the hosted API gave. */
const DEFAULT_RESULTS = 20;
/** Of all results of a call; what the hosted API gave to models of large contexts. */
const MAX_TOKENS = 16_000;
/** How long the hosted API waited for files that were being read. */
const MAX_WAIT_MS = 60_000;
const LOOK_AGAIN_MS = 200;

export interface FileSearchOptions {
  /** A store of the project; null where there is none. */
  readonly store: (project: string, id: string) => Promise<VectorStore | null>;
  readonly search: (wanted: ShelfSearch, signal: AbortSignal) => Promise<readonly FileResult[]>;
  /** The stores are used now. */
  readonly touch: (project: string, ids: readonly string[]) => Promise<void>;
  readonly log: Logger;
}

export function fileSearchEngine(options: FileSearchOptions): Engine {
  return async function* (request, signal) {
    try {
      yield await answered(options, request, signal);
    } catch (err) {
      signal.throwIfAborted();
      options.log.error({ err, run_id: request.run.id }, 'a file search failed');
      yield { type: 'refusal', text: 'The files could not be searched just now.' };
    }
  };
}

async function answered(
  { store, search, touch }: FileSearchOptions,
  { call, number, run, resources, asked: { project } }: HostedRequest,
  signal: AbortSignal,
): Promise<HostedReply> {
  const queries = queriesIn(calledFunction(call).arguments);
  if (queries.length === 0) return { type: 'refusal', text: 'Say what to look for, as {"queries": ["…"]}.' };
  const stores = await Promise.all(
    resources.vector_store_ids.map(async (id) => readStore(async () => store(project, id), signal)),
  );
  const live = stores.filter((one) => one !== null).filter(({ status }) => status !== 'expired');
  if (live.length === 0)
    return {
      type: 'refusal',
      text: 'There are no files to search: none were attached, or they have expired.',
    };
  const storeIds = live.map(({ id }) => id);
  const tool = run.tools.find((one): one is FileSearchTool => one.type === 'file_search');
  const found = await search(
    {
      project,
      storeIds,
      queries,
      filter: null,
      limit: tool?.file_search.max_num_results ?? DEFAULT_RESULTS,
      minScore: tool?.file_search.ranking_options.score_threshold ?? 0,
    },
    signal,
  );
  await touch(project, storeIds);
  return { type: 'answer', answer: { type: 'found', number, results: fitting(found) } };
}

/** The store once its files are read, or after a while: a file is often attached in the moment of the question. */
async function readStore(
  look: () => Promise<VectorStore | null>,
  signal: AbortSignal,
): Promise<VectorStore | null> {
  for (const endMs = performance.now() + MAX_WAIT_MS; ;) {
    const seen = await look();
    if (seen?.status !== 'in_progress' || performance.now() > endMs) return seen;
    await sleep(LOOK_AGAIN_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** The first results that together are not too long for a prompt; always one. */
function fitting(found: readonly FileResult[]): readonly FileResult[] {
  let tokens = 0;
  const end = found.findIndex(({ content }) => {
    tokens += content.reduce((sum, { text }) => sum + estimateTokens(text), 0);
    return tokens > MAX_TOKENS;
  });
  return end === -1 ? found : found.slice(0, Math.max(1, end));
}

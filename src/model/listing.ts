/** What an upstream's list of models says: their names, whose they are, and how much they take. */
import { createClient, readText } from './client.ts';
import { isRecord } from '../runs/record.ts';
import { countOf, parseJson, stringOr } from './json.ts';
import type { Upstream } from './upstreams.ts';

/** Somebody waits for the list, so an upstream that is down must not delay it long. */
const ASK_LIMIT_MS = 2_000;
const MAX_LIST_BYTES = 4 * 1024 * 1024;
/** The largest public catalogues have hundreds of models. */
const MAX_MODELS = 5_000;

/** A model as an upstream lists it. */
export interface ListedByUpstream {
  readonly id: string;
  /** Unix seconds; 0 when unknown. */
  readonly created: number;
  /** Empty when it does not say. */
  readonly ownedBy: string;
  /** Tokens that prompt and answer may have together; null when it does not say. */
  readonly contextTokens: number | null;
}

/** The models that an upstream lists. @throws when it sends no list in time. */
export async function askForModels(upstream: Upstream): Promise<readonly ListedByUpstream[]> {
  const response = await createClient(upstream)
    .get('/models', { signal: AbortSignal.timeout(ASK_LIMIT_MS) })
    .asResponse();
  const body = parseJson(await readText(response, MAX_LIST_BYTES));
  if (!isRecord(body) || !Array.isArray(body['data'])) throw new Error('/models is not a list of models');
  return body['data'].slice(0, MAX_MODELS).flatMap(readModel);
}

function readModel(model: unknown): ListedByUpstream[] {
  const id = isRecord(model) ? stringOr(model['id']) : '';
  if (!isRecord(model) || id === '') return [];
  const created = countOf(model['created']) ?? 0;
  return [{ id, created, ownedBy: stringOr(model['owned_by']), contextTokens: contextOf(model) }];
}

/** The names of the field, and who uses it. What is loaded counts before what the model could take. */
const CONTEXT_FIELDS = [
  'loaded_context_length', // LM Studio
  'n_ctx', // llama.cpp, in `meta`
  'max_model_len', // vLLM, SGLang
  'context_length', // OpenRouter, Together, Kimi
  'context_window', // Groq
  'max_context_length', // LM Studio, Mistral
] as const;
/** Smaller figures are something else, or not known yet. */
const MIN_CONTEXT = 256;

function contextOf(model: Readonly<Record<string, unknown>>): number | null {
  const said = { ...(isRecord(model['meta']) && model['meta']), ...model };
  for (const field of CONTEXT_FIELDS) {
    const tokens = countOf(said[field]);
    if (tokens !== null && tokens >= MIN_CONTEXT) return tokens;
  }
  return null;
}

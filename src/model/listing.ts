/** What an upstream's list of models says: their names, whose they are, and how much they take. */
import { UpstreamAnswer } from './upstream-answer.ts';
import { whenAwakeFor } from './awake.ts';
import { addressOf, headersFor, isGood, isRedirect } from './client.ts';
import { redirected, unreachable, UpstreamFailure } from './failure.ts';
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

/** What an upstream answers when it is asked for its models. */
export interface ListAnswer {
  readonly status: number;
  /** What it says, read as JSON; undefined where that is none. */
  readonly said: unknown;
}

/** Asks `GET /models`. @throws when there is no answer in time, or one that sends its caller elsewhere; never in its words. */
export async function askForList(upstream: Upstream, limitMs: number): Promise<ListAnswer> {
  const answer = new UpstreamAnswer({
    address: new URL(addressOf(upstream, '/models')),
    method: 'GET',
    headers: { ...headersFor(upstream), accept: 'application/json' },
  });
  let isLate = false;
  const inTime = whenAwakeFor(limitMs, () => {
    isLate = true;
    answer.abort();
  });
  try {
    const { status, headers } = await answer.head();
    if (isRedirect(status)) throw redirected(upstream, status, headers.location ?? null);
    return { status, said: parseJson(await answer.text(MAX_LIST_BYTES)) };
  } catch (error) {
    if (isLate) throw new Error(`GET /models was not answered within ${limitMs / 1_000} s`, { cause: error });
    throw error instanceof UpstreamFailure ? error : unreachable({ upstream }, error);
  } finally {
    inTime();
    answer.abort();
  }
}

/** The models that an upstream lists. @throws when it sends no list in time. */
export async function askForModels(
  upstream: Upstream,
  limitMs = ASK_LIMIT_MS,
): Promise<readonly ListedByUpstream[]> {
  const { status, said } = await askForList(upstream, limitMs);
  const models = isGood(status) ? modelsIn(said) : null;
  if (models === null) throw new Error(`GET /models is answered ${status}, without a list of models`);
  return models.slice(0, MAX_MODELS).flatMap(readModel);
}

/** The list in an answer; null where there is none. */
export function modelsIn(said: unknown): readonly unknown[] | null {
  const data = isRecord(said) ? said['data'] : null;
  return Array.isArray(data) ? data : null;
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

/** Asks an upstream for its models before the service uses it, for the person who is starting the service. */
import { isGood } from './client.ts';
import { isRecord } from '../runs/record.ts';
import { stringOr } from './json.ts';
import { askForList, modelsIn } from './listing.ts';
import type { Upstream } from './upstreams.ts';

/** A person waits at the terminal. */
const ASK_LIMIT_MS = 3_000;
/** Names of models that do not chat. */
const NO_CHAT =
  /embed|rerank|whisper|tts|speech|audio|transcribe|realtime|moderation|dall-?e|image|sora|davinci|babbage|bge-|clip/i;

/** What the upstream says at the configured address. `unknown`: it answers, but with something else. */
type ProbeAnswer =
  | { readonly type: 'models'; readonly models: readonly string[] }
  | { readonly type: 'unknown' }
  | { readonly type: 'no list' }
  | { readonly type: 'key refused'; readonly status: number }
  | { readonly type: 'unreachable' };

/** `elsewhere`: its list of models is at another address than the configured one. */
export type Probe = ProbeAnswer | { readonly type: 'elsewhere'; readonly baseUrl: string };

/**
 * Asks `GET /models`, for a few seconds at most. Where there is no list, tries a few addresses that may have been
 * meant. Never throws.
 */
export async function probe(upstream: Upstream): Promise<Probe> {
  const answer = await ask(upstream);
  if (answer.type !== 'no list') return answer;
  for (const baseUrl of likelyMeant(upstream.baseUrl)) {
    const there = await ask({ ...upstream, baseUrl });
    if (there.type === 'models' || there.type === 'key refused') return { type: 'elsewhere', baseUrl };
  }
  return answer;
}

/** Addresses that people may have meant: with the ending they forget, without the one they copy by mistake. */
function likelyMeant(baseUrl: string): readonly string[] {
  const [before = '', query] = baseUrl.split('?');
  const base = before.replace(/\/+$/, '').replace(/\/chat(\/completions)?$/, '');
  const candidates = [base, ...(/\/v\d+[a-z\d]*$/.test(base) ? [] : [`${base}/v1`])];
  return candidates
    .filter((each) => each !== before)
    .map((each) => (query === undefined ? each : `${each}?${query}`));
}

async function ask(upstream: Upstream): Promise<ProbeAnswer> {
  try {
    const { status, said } = await askForList(upstream, ASK_LIMIT_MS);
    if (status === 401 || status === 403) return { type: 'key refused', status };
    if (status === 404) return { type: 'no list' };
    const models = isGood(status) ? modelsIn(said) : null;
    if (models === null) return { type: 'unknown' };
    const ids = models.map((model) => (isRecord(model) ? stringOr(model['id']) : ''));
    return { type: 'models', models: ids.filter((id) => id !== '') };
  } catch {
    return { type: 'unreachable' };
  }
}

/**
 * A model to begin with: the first configured one, else one that the upstream lists, chat models before others.
 * @returns null when no model is known.
 */
export function firstModel({ models, aliases }: Upstream, answer: Probe): string | null {
  const listed = answer.type === 'models' ? answer.models : [];
  return models[0] ?? Object.keys(aliases)[0] ?? listed.find((id) => !NO_CHAT.test(id)) ?? listed[0] ?? null;
}

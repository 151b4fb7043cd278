/** `upstreams` in the configuration: the model servers, and the keys to them. */
import { z } from 'zod';
import type { Env } from './env.ts';

/** The longest a timer can run. */
const MAX_MS = 2 ** 31 - 1;
const ms = z.coerce.number().int().min(100).max(MAX_MS);
/** Only in the file, where numbers need no conversion. */
const ownMs = z.int().min(100).max(MAX_MS).optional();

/** Defaults for every upstream without limits of its own. */
export const upstreamFields = {
  /** The turn fails when no byte comes from the upstream for this long. */
  upstreamIdleMs: ms.default(120_000),
  /** How long the upstream may send signs of life only. Servers that load a model send them for minutes. */
  upstreamStallMs: ms.default(300_000),
  /**
   * How long it may send thoughts only: most of a run's ten minutes, so that slow models can think and have time left
   * to answer.
   */
  upstreamThinkMs: ms.default(480_000),
  /** How long one completion may take in all. A run's own lifetime is shorter, unless it was raised. */
  upstreamTotalMs: ms.default(1_800_000),
  /** Further tries after 429, 5xx or an answer that is none, before the first part. */
  upstreamRetries: z.coerce.number().int().min(0).max(10).default(2),
  /** How long an upstream that cannot be reached or loads its model is waited for: as long as a run lives by default. */
  upstreamWaitMs: z.coerce.number().int().min(0).max(MAX_MS).default(600_000),
  /** The same where the answer is spoken, and somebody stands and waits for it. */
  spokenWaitMs: z.coerce.number().int().min(0).max(MAX_MS).default(15_000),
};

/** An OpenAI-compatible server that answers `/chat/completions`. */
export const upstreamSchema = z.strictObject({
  /** What assistants name in `metadata.backend_id`. */
  name: z.string().min(1),
  baseUrl: z.url({ protocol: /^https?$/ }),
  apiKey: z.string().optional(),
  /** The environment variable that holds the key, so that the file need not. */
  apiKeyEnv: z.string().optional(),
  /** Models that this upstream serves; they are routed here without a backend_id. */
  models: z.array(z.string().min(1)).default([]),
  /** Names clients use → names the upstream knows. */
  aliases: z.record(z.string().min(1), z.string().min(1)).default({}),
  /** Names clients use → the model to ask instead when a picture is in the prompt. */
  visionModels: z.record(z.string().min(1), z.string().min(1)).default({}),
  /** Older servers know `max_tokens` only. */
  maxTokensField: z.enum(['max_completion_tokens', 'max_tokens']).default('max_completion_tokens'),
  /** Where the thoughts are that it leaves in the text of its answers. */
  thinkTags: z.enum(['auto', 'closing', 'off']).default('auto'),
  /** Its own limits, in place of the general ones. */
  idleMs: ownMs,
  stallMs: ownMs,
  thinkMs: ownMs,
  totalMs: ownMs,
  waitMs: z.int().min(0).max(MAX_MS).optional(),
  /** The most runs that it may hold at once in one worker process. */
  slots: z.int().min(1).optional(),
});

export type UpstreamConfig = Readonly<z.infer<typeof upstreamSchema>>;

/** OPENAI_BASE_URL and OPENAI_API_KEY alone make one upstream named `default`. */
export function singleUpstream(env: Env, report: (problem: string) => void): UpstreamConfig | null {
  const baseUrl = env['OPENAI_BASE_URL'];
  const apiKey = env['OPENAI_API_KEY'];
  if (!baseUrl && !apiKey) return null;
  const parsed = upstreamSchema.safeParse({
    name: 'default',
    baseUrl: baseUrl || 'https://api.openai.com/v1',
    ...(apiKey && { apiKey }),
  });
  if (parsed.success) return parsed.data;
  report('OPENAI_BASE_URL: must be an http or https URL, for example http://127.0.0.1:11434/v1.');
  return null;
}

/** The upstream with the key that `apiKeyEnv` names; a missing variable goes to `report`. */
export function withKey(
  upstream: UpstreamConfig,
  env: Env,
  report: (problem: string) => void,
): UpstreamConfig {
  if (upstream.apiKeyEnv === undefined) return upstream;
  const apiKey = env[upstream.apiKeyEnv];
  if (!apiKey) {
    report(`upstream '${upstream.name}': its key should be in ${upstream.apiKeyEnv}, which is not set.`);
    return upstream;
  }
  return { ...upstream, apiKey };
}

/** The upstream as it may be logged. */
export function withoutKey(upstream: UpstreamConfig): Readonly<Record<string, unknown>> {
  return {
    ...upstream,
    baseUrl: withoutPassword(upstream.baseUrl),
    ...(upstream.apiKey !== undefined && { apiKey: '[redacted]' }),
  };
}

/** An address without its password and its query, which may hold a key as well. */
function withoutPassword(address: string): string {
  const url = new URL(address);
  if (url.password === '' && url.search === '') return address;
  if (url.password !== '') url.password = 'redacted';
  if (url.search !== '') url.search = '?redacted';
  return url.href;
}

/** `upstreams` in the configuration: the model servers, and the keys to them. */
import { z } from 'zod';
import type { Env } from './env.ts';

/** An OpenAI-compatible server that answers `/chat/completions`. */
export const upstreamSchema = z.strictObject({
  /** What assistants name in `metadata.backend_id`. */
  name: z.string().min(1),
  baseUrl: z.url({ protocol: /^https?$/ }),
  apiKey: z.string().optional(),
  /** The environment variable that holds the key, so that the file need not. */
  apiKeyEnv: z.string().optional(),
  /** Models this upstream serves; when a model is listed here it is routed here without a backend_id. */
  models: z.array(z.string().min(1)).default([]),
  /** Names clients use → names the upstream knows. */
  aliases: z.record(z.string().min(1), z.string().min(1)).default({}),
  /** Models by the name clients use → the one that is asked instead when a picture is in the prompt. */
  visionModels: z.record(z.string().min(1), z.string().min(1)).default({}),
  /** Older servers know `max_tokens` only. */
  maxTokensField: z.enum(['max_completion_tokens', 'max_tokens']).default('max_completion_tokens'),
});

export type Upstream = Readonly<z.infer<typeof upstreamSchema>>;

/** OPENAI_BASE_URL and OPENAI_API_KEY alone make one upstream named `default`. */
export function singleUpstream(env: Env, report: (problem: string) => void): Upstream | null {
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

/** The upstream with the key that `apiKeyEnv` names; a missing one is told to `report`. */
export function withKey(upstream: Upstream, env: Env, report: (problem: string) => void): Upstream {
  if (upstream.apiKeyEnv === undefined) return upstream;
  const apiKey = env[upstream.apiKeyEnv];
  if (!apiKey) {
    report(`upstream '${upstream.name}': its key should be in ${upstream.apiKeyEnv}, which is not set.`);
    return upstream;
  }
  return { ...upstream, apiKey };
}

/** The upstream as it may be logged. */
export function withoutKey(upstream: Upstream): Readonly<Record<string, unknown>> {
  return {
    ...upstream,
    baseUrl: withoutPassword(upstream.baseUrl),
    ...(upstream.apiKey !== undefined && { apiKey: '[redacted]' }),
  };
}

/** An address without its password. */
function withoutPassword(address: string): string {
  const url = new URL(address);
  if (url.password === '') return address;
  url.password = 'redacted';
  return url.href;
}

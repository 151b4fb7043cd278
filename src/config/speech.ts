/** Settings of spoken answers: the server that makes speech of text, and how it is asked. */
import { z } from 'zod';
import type { Env } from './env.ts';
import { completeUpstream, upstreamSchema, type UpstreamConfig } from './upstreams.ts';

/** What engines and devices play, in samples a second. */
const SAMPLE_RATES = [16_000, 24_000];

export const speechFields = {
  /** Of a server with `/audio/speech`; by default the model server that has `speechModel`. */
  speechBaseUrl: z.url({ protocol: /^https?$/ }).optional(),
  /** The key of that server. A caller's own key never goes there. */
  speechApiKey: z.string().min(1).optional(),
  speechModel: z.string().min(1).max(256).default('tts-1'),
  /** The voice of callers who name none. */
  speechVoice: z.string().min(1).max(256).default('alloy'),
  /** Samples a second for voice engines and devices; programs get OpenAI's 24,000. */
  speechSampleRate: z.coerce
    .number()
    .refine((rate) => SAMPLE_RATES.includes(rate), { error: 'must be 16000 or 24000' })
    .default(16_000),
};

interface SpeechServer {
  readonly speechBaseUrl?: string | undefined;
  readonly speechApiKey?: string | undefined;
}

/** The server of `speechBaseUrl` as one more upstream; null where a model server speaks. */
export function speechUpstreamOf(
  { speechBaseUrl: baseUrl, speechApiKey: apiKey }: SpeechServer,
  env: Env,
  report: (problem: string) => void,
): UpstreamConfig | null {
  if (baseUrl === undefined) {
    if (apiKey !== undefined)
      report('SPEECH_API_KEY is set, but not SPEECH_BASE_URL, the server that it is the key of.');
    return null;
  }
  const written = upstreamSchema.parse({ name: 'speech', baseUrl, ...(apiKey !== undefined && { apiKey }) });
  return completeUpstream(written, env, report);
}

/** `upstreams` in the configuration: the model servers, what is said to them, and the keys to them. */
import { z } from 'zod';
import type { Env } from './env.ts';
import { pricesSchema } from './prices.ts';
import { presetOfHost, PRESET_NAMES, PRESETS } from './presets.ts';
import { sayingFields, type Saying } from './saying.ts';

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

/** What may be set for an upstream and for a model of it. */
const settings = {
  /** The family of servers whose settings apply where no others are given. */
  preset: z.enum(PRESET_NAMES).optional(),
  ...sayingFields,
};

/** A name, or an object with a name and settings. */
const modelSchema = z.preprocess(
  (given) => (typeof given === 'string' ? { name: given } : given),
  z.strictObject({ name: z.string().min(1), prices: pricesSchema.optional(), ...settings }),
);

/** Headers that make a request what it is. */
const FIXED_HEADERS = /^(?:host|connection|content-length|content-type|transfer-encoding|accept-encoding)$/i;
const headerName = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'must be the name of a header')
  .refine((name) => !FIXED_HEADERS.test(name), 'must not be a header that the connection itself needs');
/** Any other value would break every request, and appear in the error. */
const headerValue = z.string().regex(/^[\t\x20-\x7e]*$/, 'must be one line of ASCII characters');

/** An OpenAI-compatible server that answers `/chat/completions`. */
export const upstreamSchema = z.strictObject({
  /** What assistants name in `metadata.backend_id`. */
  name: z.string().min(1),
  baseUrl: z.url({ protocol: /^https?$/ }),
  apiKey: z.string().optional(),
  /** The environment variable that holds the key, so that the file need not. */
  apiKeyEnv: z.string().optional(),
  /** Sent with every request. `${NAME}` in a value stands for an environment variable. */
  headers: z.record(headerName, headerValue).default({}),
  /** Added to the address of every request, likewise. */
  query: z.record(z.string().min(1), headerValue).default({}),
  /** Models that this upstream serves; they are routed here without a backend_id. */
  models: z.array(modelSchema).default([]),
  /** Names clients use → names the upstream knows. */
  aliases: z.record(z.string().min(1), z.string().min(1)).default({}),
  /** Names clients use → the model to ask instead when a picture is in the prompt. */
  visionModels: z.record(z.string().min(1), z.string().min(1)).default({}),
  /** Of its models without prices of their own. */
  prices: pricesSchema.optional(),
  ...settings,
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

type WrittenUpstream = Readonly<z.infer<typeof upstreamSchema>>;

/** Settings, and the family of servers that they complete. */
interface PresetSaying extends Saying {
  readonly preset?: string | undefined;
}

/** An upstream as the service uses it. */
export interface UpstreamConfig extends Omit<WrittenUpstream, 'models'> {
  /** The names alone. */
  readonly models: readonly string[];
  /** Name of a model → what is set for it. */
  readonly modelSettings: Readonly<Record<string, PresetSaying>>;
  /** Name of a model → what it costs; missing where no model has prices of its own. */
  readonly modelPrices?: Readonly<Record<string, z.infer<typeof pricesSchema>>>;
  /** The header that carries the key, in place of `authorization`. */
  readonly keyHeader?: string | undefined;
  /** Values of headers and query that may be keys. */
  readonly secrets: readonly string[];
}

/** The server that a key alone means. */
const OPENAI = 'https://api.openai.com/v1';

/** OPENAI_BASE_URL and OPENAI_API_KEY alone make one upstream named `default`. */
export function singleUpstream(env: Env, report: (problem: string) => void): UpstreamConfig | null {
  const baseUrl = env['OPENAI_BASE_URL'];
  const apiKey = env['OPENAI_API_KEY'];
  if (!baseUrl && !apiKey) return null;
  const parsed = upstreamSchema.safeParse({
    name: 'default',
    baseUrl: baseUrl || OPENAI,
    ...(apiKey && { apiKey }),
  });
  if (parsed.success) return completeUpstream(parsed.data, env, report);
  report('OPENAI_BASE_URL: must be an http or https URL, for example http://127.0.0.1:11434/v1.');
  return null;
}

/** What to tell an operator whose OPENAI_BASE_URL gives way to an upstream of the file. */
export function shadowed(
  single: UpstreamConfig | null,
  upstreams: readonly UpstreamConfig[],
): readonly string[] {
  const own = upstreams.find(({ name }) => name === single?.name);
  if (single === null || own === undefined || own.baseUrl === single.baseUrl) return [];
  // A key alone is often in an environment for other programs, or named by `apiKeyEnv`.
  if (single.baseUrl === OPENAI) return [];
  return [
    `OPENAI_BASE_URL has no effect, because the config file has an upstream named '${own.name}'. Change its baseUrl there.`,
  ];
}

/**
 * The upstream with the values that it takes from the environment, and with what its preset says about the connection;
 * missing variables go to `report`.
 */
export function completeUpstream(
  written: WrittenUpstream,
  env: Env,
  report: (problem: string) => void,
): UpstreamConfig {
  const { models, ...upstream } = written;
  const place = `upstream '${upstream.name}'`;
  const presetName = upstream.preset ?? presetOfHost(upstream.baseUrl);
  const preset = presetName === undefined ? undefined : PRESETS[presetName];
  const headers = filledIn(upstream.headers, `${place}: headers`, env, report);
  const query = {
    ...(preset?.query !== undefined && isAt(upstream.baseUrl, preset.query.path) && preset.query.values),
    ...filledIn(upstream.query, `${place}: query`, env, report),
  };
  const apiKey = keyOf(upstream, env, report);
  const modelPrices = models.flatMap(({ name, prices }) =>
    prices === undefined ? [] : [[name, prices] as const],
  );
  return {
    ...upstream,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
    query,
    models: models.map(({ name }) => name),
    modelSettings: Object.fromEntries(models.map(settingsOf)),
    ...(modelPrices.length > 0 && { modelPrices: Object.fromEntries(modelPrices) }),
    secrets: secretsIn(headers, query),
    ...(apiKey !== undefined && { apiKey }),
    ...(presetName !== undefined && { preset: presetName }),
    ...(preset?.keyHeader !== undefined && { keyHeader: preset.keyHeader }),
  };
}

function settingsOf(model: WrittenUpstream['models'][number]): readonly [string, PresetSaying] {
  const { name, prices: _, ...own } = model;
  return [name, own];
}

function isAt(baseUrl: string, path: string): boolean {
  const url = new URL(baseUrl);
  return url.search === '' && `${url.pathname}/`.includes(path);
}

function keyOf(
  { name, apiKey, apiKeyEnv }: Omit<WrittenUpstream, 'models'>,
  env: Env,
  report: (problem: string) => void,
): string | undefined {
  if (apiKeyEnv === undefined) return apiKey;
  const found = env[apiKeyEnv];
  if (found) return found;
  report(`upstream '${name}': its key should be in ${apiKeyEnv}, which is not set.`);
  return apiKey;
}

/** The values with `${NAME}` replaced. */
function filledIn(
  values: Readonly<Record<string, string>>,
  place: string,
  env: Env,
  report: (problem: string) => void,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([name, template]) => {
      const value = template.replaceAll(/\$\{(\w+)\}/g, (_whole, variable: string) => {
        const found = env[variable];
        if (!found) report(`${place}.${name} should have ${variable}, which is not set.`);
        return found || '';
      });
      if (!headerValue.safeParse(value).success)
        report(`${place}.${name} must be one line of ASCII characters, with its variables filled in.`);
      return [name, value];
    }),
  );
}

/** Versions of an API are no secrets, and errors speak about them. */
const PUBLIC = /^(?:api-version|user-agent|http-referer|x-title)$/i;

function secretsIn(...groups: readonly Readonly<Record<string, string>>[]): readonly string[] {
  const values = groups.flatMap((group) =>
    Object.entries(group).flatMap(([name, value]) => (PUBLIC.test(name) ? [] : [value])),
  );
  // `Bearer KEY`: an error may repeat the key alone.
  return [...new Set(values.flatMap((value) => [value, value.replace(/^\w+\s+/, '')]))];
}

/** The upstream as it may be logged. */
export function withoutKey(upstream: UpstreamConfig): Readonly<Record<string, unknown>> {
  return {
    ...upstream,
    baseUrl: withoutPassword(upstream.baseUrl),
    headers: hidden(upstream.headers),
    query: hidden(upstream.query),
    secrets: upstream.secrets.length,
    ...(upstream.apiKey !== undefined && { apiKey: '[redacted]' }),
  };
}

function hidden(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, PUBLIC.test(name) ? value : '[redacted]']),
  );
}

/** An address without its password and its query, which may hold a key as well. */
function withoutPassword(address: string): string {
  const url = new URL(address);
  if (url.password === '' && url.search === '') return address;
  if (url.password !== '') url.password = 'redacted';
  if (url.search !== '') url.search = '?redacted';
  return url.href;
}

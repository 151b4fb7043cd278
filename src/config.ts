/**
 * Configuration: environment variables override an optional `longrun.config.json`, which overrides defaults; checked
 * once, frozen. The only reader of process.env. All problems are reported together, and reports never hold secrets.
 * docs/configuration.md lists the settings for operators; test/config.test.ts keeps the two in step.
 */
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { budgetFields } from './config/budgets.ts';
import { codeFields, codeSettingsOf } from './config/code.ts';
import type { Env } from './config/env.ts';
import { filesFields, s3EnvironmentOf } from './config/files.ts';
import { keptFields } from './config/kept.ts';
import { libraryFields, withoutLibraryPassword } from './config/library.ts';
import { list } from './config/list.ts';
import { NAMES } from './config/names.ts';
import { inWords } from './config/problems.ts';
import { priceFields } from './config/prices.ts';
import { FOREIGN_SETTINGS, readEntries } from './config/mcp-entries.ts';
import { mcpServersSchema, withSecrets, withoutSecrets } from './config/mcp-servers.ts';
import { openApiSchema, withHeaders, withoutHeaders } from './config/openapi.ts';
import { searchFields, searchProvidersOf } from './config/search.ts';
import { speechFields, speechUpstreamOf } from './config/speech.ts';
import { onlyToolsOf, passthroughFields, toolSchema, withSettings, withoutSettings } from './config/tools.ts';
import {
  completeUpstream,
  shadowed,
  singleUpstream,
  upstreamFields,
  upstreamSchema,
  withoutKey,
  type UpstreamConfig,
} from './config/upstreams.ts';
import { tracingEnvironmentOf } from './config/tracing.ts';
import { checkWeb, webFields } from './config/web.ts';
import { placeIn } from './json-place.ts';
import { parseRedisUrl, withoutRedisPassword } from './redis-url.ts';

const CONFIG_FILE = 'longrun.config.json';

/** Every setting. Keys are those of the file, in camel case; config/names.ts has the environment variables. */
const schema = z.strictObject({
  ...webFields,
  redisUrl: z
    .string()
    .superRefine((text, context) => {
      try {
        parseRedisUrl(text);
      } catch (error) {
        context.addIssue({
          code: 'custom',
          message: error instanceof Error ? error.message : 'cannot be read',
        });
      }
    })
    .default('redis://127.0.0.1:6379'),
  /** Begins every key, so that deployments may share a Redis. No braces, because Redis Cluster reads them as hash tags. */
  redisPrefix: z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/)
    .default('longrun'),
  /** Seals the secrets of callers: their own upstream keys, sensitive variables. The same in every process. */
  secret: z.string().min(16).optional(),
  upstreams: z.array(upstreamSchema).default([]),
  openapi: z.array(openApiSchema).default([]),
  /** Name → MCP server whose tools this service may run. */
  mcpServers: mcpServersSchema,
  /** Runs that one worker process executes at once. A run is one open stream, so this counts sockets, not cores. */
  workerConcurrency: z.coerce.number().int().min(1).max(10_000).default(200),
  /**
   * How long a stopping worker lets its runs go on before it hands them over, and how long a stopping API waits for
   * open requests.
   */
  drainMs: z.coerce.number().int().min(0).default(5_000),
  /** Worker processes that `npm start` runs; by default derived from the machine's cores. */
  workers: z.coerce.number().int().min(1).max(64).optional(),
  /** Who must confirm the beginning and the end of a run: the Redis master, or a replica as well. */
  durability: z.enum(['local', 'replica']).default('local'),
  /** How long a worker's lease on its runs lasts; a dead worker is noticed after up to one and a half times this. */
  lockMs: z.coerce.number().int().min(1_000).max(600_000).default(10_000),
  /** How many workers one turn of a run may lose before it fails; workers that only stood still do not count. */
  maxAttempts: z.coerce.number().int().min(1).default(5),
  /** Runs that may wait for a worker, over the whole deployment, before further ones are refused. */
  maxWaitingRuns: z.coerce.number().int().min(1).default(10_000),
  /** Runs that one project may have open before further ones are refused; 0 means no limit. */
  maxOpenRunsPerProject: z.coerce.number().int().min(0).default(0),
  /** Event streams that one API process may have open; some 60 KB each. */
  maxStreams: z.coerce.number().int().min(1).default(5_000),
  /** Requests that one API process may pass on to model servers at a time: embeddings, speech, pictures. */
  maxForwarded: z.coerce.number().int().min(1).default(256),
  /** Memory that an API process may occupy and still be ready; by default derived from what it is given. */
  maxMemoryMb: z.coerce.number().int().min(1).optional(),
  ...keptFields,
  ...filesFields,
  ...libraryFields,
  /** `openai-poll-after-ms`; without it SDKs poll every 1 to 5 seconds. */
  pollAfterMs: z.coerce.number().int().min(1).max(60_000).default(250),
  /**
   * After tool outputs were posted, a run that makes new calls is shown as queued for this long, for clients that poll
   * slowly.
   */
  calmAfterSubmitMs: z.coerce.number().int().min(0).max(10_000).default(500),
  parallelToolCalls: z.stringbool().or(z.boolean()).default(true),
  /** Refuse unknown body keys on Assistants routes, as the hosted API did. */
  strictParameters: z.stringbool().or(z.boolean()).default(true),
  /** Prompts are cut to this many (estimated) tokens. */
  contextTokens: z.coerce.number().int().min(256).default(128_000),
  ...upstreamFields,
  ...priceFields,
  /** Further paths of the chat endpoint, and the profile of each (docs/devices.md). */
  devicePaths: z
    .array(
      z.strictObject({
        path: z.string().regex(/^\/[\w./-]*$/),
        profile: z.enum(['chat', 'voice', 'audio', 'glasses']),
      }),
    )
    .default([
      { path: '/chat/completions', profile: 'voice' },
      { path: '/audio/chat/completions', profile: 'audio' },
      { path: '/custom_agent/chat', profile: 'glasses' },
    ]),
  /** Voice engines hang up after about four silent seconds. */
  fillerAfterMs: z.coerce.number().int().min(0).max(60_000).default(2_500),
  fillerText: z.string().min(1).max(200).default(' '),
  /** What glasses say instead of an error. */
  apology: z.string().min(1).max(200).default('抱歉，请稍后再试。 Sorry, please try again later.'),
  /** What voice engines say then; by default the same. */
  voiceApology: z.string().min(1).max(200).optional(),
  ...speechFields,
  /** Folders of tools besides the built-in one; in the environment separated by commas. */
  toolFolders: list(z.string().min(1)).default([]),
  /** How many processes one API or worker process uses for tools that could do harm. */
  toolProcesses: z.coerce.number().int().min(1).max(64).default(8),
  /** Hosts that tools may reach although they are private or on an unusual port. */
  allowHosts: list(z.string().min(1)).default([]),
  /** By the tool's name. */
  tools: z.record(z.string().min(1), toolSchema).default({}),
  ...passthroughFields,
  ...searchFields,
  ...codeFields,
  heartbeatMs: z.coerce.number().int().min(100).default(15_000),
  ...budgetFields,
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'silent']).default('info'),
});

type CheckedSettings = Readonly<z.infer<typeof schema>>;

export interface Config extends Omit<CheckedSettings, 'upstreams'> {
  readonly upstreams: readonly UpstreamConfig[];
  /** The server that makes speech of text, where that is none of the upstreams; else null. */
  readonly speechUpstream: UpstreamConfig | null;
  /** What the operator is told, in sentences, about what was read but has no effect. */
  readonly notes: readonly string[];
}

/** Environment variable → setting. */
export const ENV: Readonly<Record<string, keyof CheckedSettings>> = NAMES;

/** Everything that is wrong with the configuration, one line for each problem, in words for the operator. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      `The configuration has ${problems.length} problem(s):\n${problems.map((line) => `  - ${line}`).join('\n')}`,
    );
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/**
 * Reads and checks the configuration.
 * @param given the environment; process.env outside tests
 * @param file path of the configuration file: LONGRUN_CONFIG, or longrun.config.json where it exists
 * @throws {ConfigError} naming every problem.
 */
export function readConfig(given: Env = process.env, file = given['LONGRUN_CONFIG'] || CONFIG_FILE): Config {
  const env: Env = { ...given };
  // The file may name any variable; names such as `constructor` must not be found in the object's prototype.
  Object.setPrototypeOf(env, null);
  const problems: string[] = [];
  const raw: Record<string, unknown> = { ...readFile(file, Boolean(env['LONGRUN_CONFIG']), problems) };
  for (const [name, key] of Object.entries(ENV)) {
    if (env[name] !== undefined && env[name] !== '') raw[key] = env[name];
  }
  for (const [name, advice] of Object.entries(FOREIGN_SETTINGS)) {
    if (Object.hasOwn(raw, name)) problems.push(`${file}: ${name}: ${advice}`);
    delete raw[name];
  }
  const servers = readEntries(raw['mcpServers'], env);
  problems.push(...servers.problems);
  raw['mcpServers'] = servers.problems.length > 0 ? {} : servers.entries;
  const config = parseEach(raw, (issue, key) => problems.push(describe(issue, key, env, file)));
  const report = (problem: string): void => void problems.push(problem);
  const upstreams = config.upstreams.map((upstream) => completeUpstream(upstream, env, report));
  const openapi = config.openapi.map((one) => withHeaders(one, env, report));
  const mcpServers = withSecrets(config.mcpServers, env, report);
  const tools = mapValues(config.tools, (tool, name) => withSettings(name, tool, env, report));
  const single = singleUpstream(env, report);
  if (single !== null && !upstreams.some((upstream) => upstream.name === single.name)) upstreams.push(single);
  for (const [index, upstream] of upstreams.entries()) {
    if (upstreams.findIndex(({ name }) => name === upstream.name) < index) {
      problems.push(`upstreams: two are named '${upstream.name}'. Give each its own name.`);
    }
  }
  checkWeb(config, report);
  const searchProviders = searchProvidersOf(config, report);
  const speechUpstream = speechUpstreamOf(config, env, report);
  if (problems.length > 0) throw new ConfigError(problems);
  const notes = [...servers.notes, ...shadowed(single, upstreams)];
  return deepFreeze({
    ...config,
    upstreams,
    tools,
    openapi,
    mcpServers,
    searchProviders,
    speechUpstream,
    notes,
  });
}

/** Whether `key` is set in the environment or in the file, and not a default. */
export function isSet(
  key: keyof CheckedSettings,
  env: Env = process.env,
  file = env['LONGRUN_CONFIG'] || CONFIG_FILE,
): boolean {
  const inEnvironment = Object.keys(ENV).some(
    (name) => ENV[name] === key && env[name] !== undefined && env[name] !== '',
  );
  return inEnvironment || Object.hasOwn(readFile(file, false, []), key);
}

/** The environment for a child process: our own, with `changes`. */
export function childEnvironment(changes: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return { ...process.env, ...changes };
}

/** What S3 needs to know that its own client does not read. */
export const readS3Environment = (env: Env = process.env) => s3EnvironmentOf(env);

/** Whether traces are collected, and what the operator is told about that. */
export const readTracing = (env: Env = process.env) => tracingEnvironmentOf(env);

/** Which process of a worker this is, where `npm start` runs it: see `Succession` in local/workers.ts. */
export function readSuccession(env: Env = process.env): {
  readonly name?: string;
  readonly ended: readonly string[];
} {
  const { LONGRUN_WORKER: name, LONGRUN_WORKERS_ENDED: ended = '' } = env;
  return { ...(name && { name }), ended: ended.match(/\S+/g) ?? [] };
}

/** The target of `npm run import`: LONGRUN_URL, and the key in LONGRUN_API_KEY. */
export function readImportTarget(env: Env = process.env): {
  readonly url: string;
  readonly apiKey: string | null;
} {
  const url = env['LONGRUN_URL'] || `http://127.0.0.1:${env['PORT'] || 8080}/v1`;
  if (!URL.canParse(url))
    throw new ConfigError(['LONGRUN_URL: must be an address such as http://127.0.0.1:8080/v1.']);
  const base = url.replace(/\/+$/, '');
  // A bare address of the service means its API.
  const isOrigin = new URL(base).pathname === '/';
  return { url: isOrigin ? `${base}/v1` : base, apiKey: env['LONGRUN_API_KEY'] || env['API_KEY'] || null };
}

/** The environment variables for a tool in a process of its own: enough to run, and no secret. */
const TOOL_ENVIRONMENT = ['PATH', 'TZ', 'LANG', 'LC_ALL', 'TMPDIR', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE'];

/** The settings about tools, as the toolbox takes them. */
export function toolSettings(config: Config, env: Env = process.env) {
  const { searchProviders: providers, searxngUrl, braveApiKey, tavilyApiKey, searchCacheS } = config;
  const search = config.tools['SEARCH'] ?? toolSchema.parse({});
  return {
    onlyTools: onlyToolsOf(config),
    toolFolders: config.toolFolders,
    toolProcesses: config.toolProcesses,
    allowHosts: config.allowHosts,
    openapi: config.openapi,
    mcpServers: Object.entries(config.mcpServers).map(([name, server]) => ({ ...server, name })),
    toolEnv: toolEnvironment(env),
    tools: {
      ...config.tools,
      SEARCH: {
        ...search,
        cacheS: search.cacheS ?? searchCacheS,
        // The operator's SearXNG is usually private. No other tool may reach it.
        allowHosts: [...search.allowHosts, ...(searxngUrl === undefined ? [] : [new URL(searxngUrl).host])],
        settings: { ...search.settings, providers, searxngUrl, braveApiKey, tavilyApiKey },
      },
    },
  };
}

/** The settings about code_interpreter, as the sandbox takes them. */
export function codeSettings(config: Config, env: Env = process.env) {
  return codeSettingsOf(config, env);
}

function toolEnvironment(env: Env): Readonly<Record<string, string>> {
  const entries = TOOL_ENVIRONMENT.map((name) => [name, env[name]] as const);
  return Object.fromEntries(entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

/** The settings as they may be logged: keys and passwords replaced. */
export function redacted({
  notes: _notes,
  speechUpstream,
  speechBaseUrl: _url,
  speechApiKey: _key,
  ...config
}: Config): Record<string, unknown> {
  return {
    ...config,
    ...(speechUpstream !== null && { speechUpstream: withoutKey(speechUpstream) }),
    redisUrl: withoutRedisPassword(config.redisUrl),
    libraryUrl: withoutLibraryPassword(config.libraryUrl),
    ...(config.apiKey !== undefined && { apiKey: '[redacted]' }),
    ...(config.adminKey !== undefined && { adminKey: '[redacted]' }),
    ...(config.secret !== undefined && { secret: '[redacted]' }),
    ...(config.braveApiKey !== undefined && { braveApiKey: '[redacted]' }),
    ...(config.tavilyApiKey !== undefined && { tavilyApiKey: '[redacted]' }),
    tools: mapValues(config.tools, withoutSettings),
    openapi: config.openapi.map(withoutHeaders),
    mcpServers: withoutSecrets(config.mcpServers),
    upstreams: config.upstreams.map(withoutKey),
  };
}

/** Checks each setting by itself, so that one bad value does not hide problems of others. */
function parseEach(
  raw: Record<string, unknown>,
  report: (issue: z.core.$ZodIssue, key: string) => void,
): CheckedSettings {
  const settings = new Map<string, z.ZodType>(Object.entries(schema.shape));
  const good: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) {
    const setting = settings.get(key);
    const parsed = (setting ?? schema).safeParse(setting === undefined ? { [key]: value } : value);
    if (parsed.success) good[key] = value;
    else for (const issue of parsed.error.issues) report(issue, setting === undefined ? '' : key);
  }
  return schema.parse(good);
}

function readFile(path: string, required: boolean, problems: string[]): Record<string, unknown> {
  if (!existsSync(path)) {
    if (required) problems.push(`LONGRUN_CONFIG names ${path}, which does not exist.`);
    return {};
  }
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
    problems.push(`${path} must hold one JSON object.`);
  } catch (error) {
    problems.push(`${path} cannot be read as JSON${placeIn(text, error)}.`);
  }
  return {};
}

/** One line about one zod issue, naming the variable or file key; the value is left out, because it may be a secret. */
function describe(issue: z.core.$ZodIssue, key: string, env: Env, file: string): string {
  const variable = Object.keys(ENV).find(
    (name) => ENV[name] === key && env[name] !== undefined && env[name] !== '',
  );
  const path = [...(key === '' ? [] : [key]), ...issue.path].map(String).join('.');
  return `${variable ?? `${file}: ${path || 'top level'}`}: ${inWords(issue)}.`;
}

function mapValues<From, To>(
  values: Readonly<Record<string, From>>,
  change: (value: From, name: string) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value, name)]));
}

function deepFreeze<T extends object>(value: T): Readonly<T> {
  for (const inner of Object.values(value))
    if (typeof inner === 'object' && inner !== null) deepFreeze(inner);
  return Object.freeze(value);
}

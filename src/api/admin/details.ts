/** What operators see beside the figures: projects, tools, MCP servers, and the settings that matter. Nothing of it is secret. */
import { fromMicros } from '../../runs/cost.ts';
import type { Plugins, SourceHealth, ToolSource } from '../../runs/tool.ts';
import type { OpenRuns } from '../../store/open-runs.ts';
import type { DayUsage, UsageCounts } from '../../store/usage.ts';
import type { ServiceView } from './reading.ts';

/** Each costs one read of Redis. */
const MAX_PROJECTS = 200;

/** The configuration, as far as operators see it here. */
export interface ShownSettings {
  readonly maxOpenRunsPerProject: number;
  readonly maxWaitingRuns: number;
  readonly maxStreams: number;
  readonly maxForwarded: number;
  readonly workerConcurrency: number;
  readonly maxFileBytes: number;
  readonly maxProjectFilesBytes: number;
  readonly bodyLimitBytes: number;
  readonly messageLimitBytes: number;
  readonly promptLimitBytes: number;
  readonly auth: string;
  readonly durability: string;
  readonly runExpiresAfterS: number;
  readonly logKeptS: number;
  readonly threadKeptDays: number;
  readonly threadColdAfterH: number;
  readonly maxAttempts: number;
  readonly lockMs: number;
  readonly drainMs: number;
  readonly contextTokens: number;
  readonly upstreamRetries: number;
  readonly parallelToolCalls: boolean;
  readonly strictParameters: boolean;
  readonly embeddingModel?: string | undefined;
  readonly codeSandbox?: string | undefined;
  readonly toolFolders: readonly string[];
  readonly searchProviders: readonly string[];
  readonly upstreams: readonly {
    readonly name: string;
    readonly models: readonly string[];
    readonly preset?: string | undefined;
    readonly slots?: number | undefined;
  }[];
}

export interface DetailSources {
  readonly open: Pick<OpenRuns, 'countByProject'>;
  readonly usage: Pick<UsageCounts, 'days'>;
  readonly plugins: Pick<Plugins, 'list' | 'sources'>;
  readonly settings: ShownSettings;
  readonly money: { readonly isKnown: boolean; readonly currency: string };
  /** Unix milliseconds, the same for every process. */
  readonly nowMs: () => number;
}

/** @param own the project of the caller, which is always among those that are told */
export async function detailsOf(sources: DetailSources, view: ServiceView, own: string): Promise<object> {
  const { plugins, settings } = sources;
  return {
    ...view,
    projects: await projectsOf(sources, own),
    tools: plugins.list().map(({ tool, source }) => ({
      name: tool.name,
      description: tool.description,
      source: { type: source.type, from: source.from },
      answered_by: tool.answeredBy,
      timeout_ms: tool.timeoutMs,
      max_output_bytes: tool.maxOutputBytes,
      cache_s: tool.cacheS,
      health: source.health(),
    })),
    mcp_servers: plugins
      .sources()
      .filter(({ type }) => type === 'mcp')
      .map((source) => mcpServer(source, view)),
    limits: {
      max_open_runs_per_project: settings.maxOpenRunsPerProject,
      max_waiting_runs: settings.maxWaitingRuns,
      max_streams: settings.maxStreams,
      max_forwarded: settings.maxForwarded,
      worker_concurrency: settings.workerConcurrency,
      max_file_bytes: settings.maxFileBytes,
      max_project_files_bytes: settings.maxProjectFilesBytes,
      body_limit_bytes: settings.bodyLimitBytes,
      message_limit_bytes: settings.messageLimitBytes,
      prompt_limit_bytes: settings.promptLimitBytes,
    },
    settings: {
      auth: settings.auth,
      durability: settings.durability,
      run_expires_after_s: settings.runExpiresAfterS,
      log_kept_s: settings.logKeptS,
      thread_kept_days: settings.threadKeptDays,
      thread_cold_after_h: settings.threadColdAfterH,
      max_attempts: settings.maxAttempts,
      lock_ms: settings.lockMs,
      drain_ms: settings.drainMs,
      context_tokens: settings.contextTokens,
      upstream_retries: settings.upstreamRetries,
      parallel_tool_calls: settings.parallelToolCalls,
      strict_parameters: settings.strictParameters,
      embedding_model: settings.embeddingModel ?? null,
      code_sandbox: settings.codeSandbox ?? null,
      tool_folders: settings.toolFolders,
      search_providers: settings.searchProviders,
      upstreams: settings.upstreams.map(({ name, models, preset = null, slots = null }) => ({
        name,
        models,
        preset,
        slots,
      })),
    },
  };
}

/** Those with open runs, the most first. */
async function projectsOf({ open, usage, settings, money, nowMs }: DetailSources, own: string) {
  const counts = new Map([[own, 0], ...(await open.countByProject())]);
  const most = [...counts].toSorted(([, a], [, b]) => b - a).slice(0, MAX_PROJECTS);
  const today = new Date(nowMs()).toISOString().slice(0, 10);
  return Promise.all(
    most.map(async ([project, openRuns]) => {
      const [used = null] = await usage.days(project, today, today);
      return {
        project,
        open_runs: openRuns,
        usage_today: used && usageView(used, money),
        limits: { max_open_runs: settings.maxOpenRunsPerProject || null },
      };
    }),
  );
}

/** As this process sees it, and as each worker does, which has a connection of its own. */
function mcpServer(source: ToolSource, { workers }: ServiceView) {
  return {
    name: source.from,
    ...stateOf(source.health()),
    tools: source.tools().map(({ name }) => name),
    workers: workers.flatMap((worker) =>
      worker.mcp
        .filter(({ name }) => name === source.from)
        .map(({ health, tools }) => ({ worker: worker.name, ...stateOf(health), tools })),
    ),
  };
}

function stateOf(health: SourceHealth) {
  return health.status === 'ok'
    ? { state: health.status, since: null, last_error: null }
    : { state: health.status, since: health.since, last_error: health.reason };
}

/** As `GET /usage` tells it. */
function usageView({ costMicros, ...used }: DayUsage, { isKnown, currency }: DetailSources['money']) {
  return { ...used, ...(isKnown && { cost: fromMicros(costMicros), currency }) };
}

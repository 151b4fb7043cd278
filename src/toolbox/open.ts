/**
 * Puts the toolbox of a process together: the tools of folders, OpenAPI documents and MCP servers, and how they are run.
 */
import { createGuard, type Guard } from '../guard/fetch.ts';
import type { Logger } from '../log.ts';
import type { ReadDocument } from '../runs/document.ts';
import type { Plugins, RunTool, ToolFetch, ToolSource } from '../runs/tool.ts';
import { documentReader } from './documents.ts';
import { BUILT_IN, loadFolders } from './folder.ts';
import { limitedTo } from './limit.ts';
import type { McpMeans, McpServer } from './mcp.ts';
import { createOpenApiSource, type OpenApiOptions } from './openapi.ts';
import { ToolPool } from './pool.ts';
import { RemoteServers } from './remote-servers.ts';
import { resolveFromHere } from './resolve.ts';
import { toolRunner, type AnswerCache } from './runner.ts';
import { Toolbox, type ToolSettings } from './toolbox.ts';

export interface ToolboxOptions {
  /** The operator's folders of tools, besides our own. */
  readonly toolFolders: readonly string[];
  readonly toolProcesses: number;
  /** The whole environment of tools that run in processes of their own. */
  readonly toolEnv: Readonly<Record<string, string>>;
  /** Hosts that every tool may reach. */
  readonly allowHosts: readonly string[];
  readonly tools: Readonly<Record<string, ToolSettings>>;
  /** The names of the only tools to offer; null for all. */
  readonly onlyTools: readonly string[] | null;
  readonly openapi: readonly OpenApiOptions[];
  readonly mcpServers: readonly McpServer[];
  readonly cache: AnswerCache;
  readonly log: Logger;
  /** Unix seconds. */
  readonly now: () => number;
}

export interface OpenToolbox {
  readonly plugins: Plugins;
  readonly runTool: RunTool;
  readonly readDocument: ReadDocument;
  /** The MCP servers that come with requests. */
  readonly remoteServers: RemoteServers;
  /** Ends connections, servers and processes of tools; calls under way fail. */
  close(): Promise<void>;
}

/** The upper limit of a call of any source; each source has its own limit below this. */
const SOURCE_TIMEOUT_MS = 600_000;

/**
 * Loads the tools of the folders; sources on the network connect later, in the background.
 * @throws {ToolFilesError} when a folder cannot be read, or a file in it is no tool.
 */
export async function openToolbox(options: ToolboxOptions): Promise<OpenToolbox> {
  const { toolFolders, toolProcesses, toolEnv, allowHosts, tools, cache, log, now } = options;
  resolveFromHere();
  await using opened = new AsyncDisposableStack();
  const guards = new Guards();
  opened.defer(() => guards.close());
  const choices = new Map(Object.entries(tools));
  const allowedTo = (name: string): readonly string[] => [
    ...allowHosts,
    ...(choices.get(name)?.allowHosts ?? []),
  ];
  const pool = new ToolPool({ processes: toolProcesses, env: toolEnv, allowedTo, log });
  opened.defer(() => pool.close());
  const files = await loadFolders([BUILT_IN, ...toolFolders], pool);

  // Addresses that the operator has named here are thereby allowed.
  const means = (...addresses: readonly (string | undefined)[]) => ({
    fetch: guards.fetchTo([...allowHosts, ...addresses.flatMap(hostOf)], SOURCE_TIMEOUT_MS),
    log,
    now,
  });
  const documents = options.openapi.map((one) => createOpenApiSource(one, means(one.document, one.baseUrl)));
  const servers = await mcpSources(options.mcpServers, means);
  const sources = [...files, ...documents, ...servers];
  const { onlyTools } = options;
  const offered = onlyTools === null ? sources : sources.map((source) => limitedTo(onlyTools, source));
  const toolbox = new Toolbox(offered, tools, log);
  opened.defer(() => toolbox.close());

  const runTool = toolRunner({ toolbox, cache, fetchOf: (name) => guards.fetchTo(allowedTo(name)), log });
  const remoteServers = new RemoteServers({
    fetch: guards.fetchTo(allowHosts, SOURCE_TIMEOUT_MS),
    cache,
    log,
  });
  opened.defer(() => remoteServers.close());
  const stack = opened.move();
  const readDocument = documentReader(pool, log);
  return { plugins: toolbox, runTool, readDocument, remoteServers, close: () => stack.disposeAsync() };
}

/** The client of MCP servers is large, and most processes have none to talk to. */
async function mcpSources(
  servers: readonly McpServer[],
  means: (url: string | undefined) => McpMeans,
): Promise<readonly ToolSource[]> {
  if (servers.length === 0) return [];
  const { createMcpSource } = await import('./mcp.ts');
  return servers.map((one) => createMcpSource(one, means('url' in one ? one.url : undefined)));
}

/** One guard for each set of allowed hosts. */
class Guards {
  readonly #guards = new Map<string, Guard>();

  fetchTo(allow: readonly string[], timeoutMs?: number): ToolFetch {
    const key = JSON.stringify([allow, timeoutMs]);
    const guard =
      this.#guards.get(key) ?? createGuard({ allow, ...(timeoutMs !== undefined && { timeoutMs }) });
    this.#guards.set(key, guard);
    return guard.fetch;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#guards.values()].map((guard) => guard.close()));
  }
}

/** The host of an address, with its port, as the guard takes it; none for a path. */
function hostOf(address: string | undefined): readonly string[] {
  if (address === undefined || !URL.canParse(address)) return [];
  const { host, protocol } = new URL(address);
  return protocol === 'http:' || protocol === 'https:' ? [host] : [];
}

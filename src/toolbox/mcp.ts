/**
 * MCP servers as a source of tools: one source per server. It connects in the background, and again whenever the
 * connection ends. Meanwhile the known tools stay listed, and their calls wait a moment. A call whose connection is lost
 * is made once more over the next one, where that does no harm. A server can fail its own tools, and nothing else.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Transport } from '@modelcontextprotocol/client';
import type { Logger } from '../log.ts';
import { isRecord } from '../runs/record.ts';
import {
  ToolArgumentError,
  ToolError,
  type SourceHealth,
  type Tool,
  type ToolContext,
  type ToolFetch,
  type ToolSource,
} from '../runs/tool.ts';
import { reasonOf, reportable, Unanswered } from './mcp/broken.ts';
import { ChildTransport, type ChildServer } from './mcp/child.ts';
import { HttpTransport, type HttpServer } from './mcp/http.ts';
import { Link } from './mcp/link.ts';
import { prefixOf, type ListedTool } from './mcp/listing.ts';

/** One server, as the operator has configured it. */
export type McpServer = (ChildServer | HttpServer) & {
  /** The operator's name for it; begins the names of its tools. */
  readonly name: string;
  /** Tools to offer, by the server's own names. Default: all, at most 128. */
  readonly allow?: readonly string[] | undefined;
  /** Time limit of one call. */
  readonly timeoutMs: number;
  /** Before each tool's name. Default: the server's name and `_`. */
  readonly prefix?: string | undefined;
};

/** What a source is given to work with. */
export interface McpMeans {
  /** For servers with a URL. */
  readonly fetch: ToolFetch;
  readonly log: Logger;
  /** Unix seconds. */
  readonly now: () => number;
  /** Called after the tools or the health have changed. */
  readonly changed?: () => void;
  /** Default: {@link PACE}. */
  readonly pace?: Partial<Pace>;
}

/** The waits and limits of a source. */
export interface Pace {
  /** For the handshake, and for the list of tools. A first npx downloads the server. */
  readonly connectMs: number;
  /** How long a call waits for the connection. */
  readonly waitMs: number;
  readonly pingMs: number;
  /** Between two attempts to connect; doubles up to the longest, with jitter. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** After a connection that held for this long, the pauses begin again from the shortest. */
  readonly wellS: number;
  /** Time for a process to end by itself, and once more after SIGTERM. */
  readonly graceMs: number;
}

const PACE: Pace = {
  connectMs: 60_000,
  waitMs: 5_000,
  pingMs: 10_000,
  firstPauseMs: 1_000,
  longestPauseMs: 60_000,
  wellS: 30,
  graceMs: 1_500,
};

const MAX_OUTPUT_BYTES = 256 * 1024;

/** Begins to connect at once, and never throws: the source's health says whether the server can be used. */
export function createMcpSource(server: McpServer, means: McpMeans): ToolSource {
  return new McpSource(server, means);
}

class McpSource implements ToolSource {
  readonly type = 'mcp';
  readonly from: string;
  readonly #server: McpServer;
  readonly #means: McpMeans;
  readonly #log: Logger;
  readonly #pace: Pace;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #tools: readonly Tool[] = [];
  #health: SourceHealth;
  /** Settles with the next connection, or is the present one. */
  #link = Promise.withResolvers<Link>();

  constructor(server: McpServer, means: McpMeans) {
    this.from = server.name;
    this.#server = server;
    this.#means = means;
    this.#log = means.log.child({ mcp_server: server.name });
    this.#pace = { ...PACE, ...means.pace };
    this.#health = { status: 'unavailable', since: means.now(), reason: 'It is not connected yet.' };
    this.#ended = this.#keepConnected();
  }

  tools(): readonly Tool[] {
    return this.#tools;
  }

  health(): SourceHealth {
    return this.#health;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #keepConnected(): Promise<void> {
    const { signal } = this.#stop;
    let failures = 0;
    while (!signal.aborted) {
      const begunS = this.#means.now();
      const reason = await this.#connectOnce().catch(reasonOf);
      if (signal.aborted) break;
      failures =
        this.#means.now() - begunS >= this.#pace.wellS && this.#health.status === 'ok' ? 1 : failures + 1;
      this.#lose(reason);
      const pauseMs = this.#pauseMs(failures);
      this.#log.warn(
        { reason: reportable(reason), failures, pause_ms: Math.round(pauseMs) },
        'MCP server unavailable',
      );
      this.#log.debug({ reason }, 'why an MCP server is unavailable');
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => {});
    }
    this.#lose('It is closed.');
  }

  /** Runs one connection from its beginning to its end. @returns why it ended. */
  async #connectOnce(): Promise<string> {
    const { connectMs, pingMs } = this.#pace;
    const link = await Link.open(
      {
        transport: this.#transport(),
        choice: { allow: this.#server.allow, prefix: this.#server.prefix ?? prefixOf(this.#server.name) },
        connectMs,
        pingMs,
        log: this.#log,
        onTools: (tools) => this.#offer(tools),
      },
      this.#stop.signal,
    );
    const onStop = (): void => void link.close();
    this.#stop.signal.addEventListener('abort', onStop, { once: true });
    if (this.#stop.signal.aborted) onStop();
    this.#health = { status: 'ok' };
    this.#link.resolve(link);
    this.#log.info({ tools: this.#tools.length }, 'MCP server connected');
    this.#means.changed?.();
    const reason = await link.over;
    this.#stop.signal.removeEventListener('abort', onStop);
    this.#link = Promise.withResolvers();
    // The old process must be gone before the next one is started.
    await link.close();
    return reason;
  }

  #transport(): Transport {
    const server = this.#server;
    if ('url' in server) return new HttpTransport(server, this.#means.fetch);
    return new ChildTransport(server, this.#pace.graceMs, this.#log, (line) =>
      this.#log.debug({ line }, 'stderr of MCP server'),
    );
  }

  #offer(tools: readonly ListedTool[]): void {
    this.#tools = tools.map((tool) => this.#toolFrom(tool));
    if (this.#health.status === 'ok') this.#means.changed?.();
  }

  #toolFrom(tool: ListedTool): Tool {
    const { inputSchema } = tool.remote;
    return {
      name: tool.name,
      description: tool.description,
      // Model servers demand `properties`, even when there are none.
      parameters: { ...inputSchema, properties: inputSchema.properties ?? {} },
      timeoutMs: this.#server.timeoutMs,
      maxOutputBytes: MAX_OUTPUT_BYTES,
      cacheS: 0,
      answeredBy: 'worker',
      waitMs: 0,
      run: (args, context) => this.#run(tool, args, context),
    };
  }

  async #run(tool: ListedTool, args: unknown, { signal, callId }: ToolContext): Promise<unknown> {
    if (!isRecord(args)) throw new ToolArgumentError('The arguments must be a JSON object.');
    const { timeoutMs } = this.#server;
    const waitMs = Math.min(this.#pace.waitMs, timeoutMs);
    const limits = { callId, timeoutMs, signal };
    const link = await this.#connected(waitMs, signal);
    try {
      return await link.call(tool, args, limits);
    } catch (error) {
      if (!(error instanceof Unanswered) || !error.mayRepeat) throw error;
      this.#log.info('a call is made again over a new connection');
      // From then on the next link is waited for.
      await link.over;
      const next = await this.#connected(waitMs, signal);
      return await next.call(tool, args, limits).catch((again: unknown) => {
        throw again instanceof Unanswered ? error : again;
      });
    }
  }

  async #connected(waitMs: number, signal: AbortSignal): Promise<Link> {
    signal.throwIfAborted();
    const waiting = new AbortController();
    const late = sleep(waitMs, null, { signal: AbortSignal.any([signal, waiting.signal]), ref: false });
    const link = await Promise.race([this.#link.promise, late.catch(() => null)]);
    waiting.abort();
    signal.throwIfAborted();
    if (link === null) throw new ToolError("The tool's server is not available now.");
    return link;
  }

  #lose(reason: string): void {
    const since = this.#health.status === 'ok' ? this.#means.now() : this.#health.since;
    // Health is shown to callers, whom a server's own words would tell what it was sent: its key, its address.
    this.#health = { status: 'unavailable', since, reason: reportable(reason) };
    this.#means.changed?.();
  }

  #pauseMs(failures: number): number {
    const { firstPauseMs, longestPauseMs } = this.#pace;
    const fullMs = Math.min(firstPauseMs * 2 ** (failures - 1), longestPauseMs);
    return fullMs * (0.5 + Math.random() / 2);
  }
}

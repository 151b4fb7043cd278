/**
 * MCP servers that come with requests: connected when they are needed, kept for the calls that follow, and closed when nobody has
 * used them for a while. They are foreign: only guarded addresses, no secret of ours, and nothing of one project serves another.
 */
import { hash } from 'node:crypto';
import { z } from 'zod';
import type { Logger } from '../log.ts';
import { isRecord } from '../runs/record.ts';
import type { RemoteListing, RemoteTarget, RemoteTools } from '../runs/remote.ts';
import { ToolArgumentError, ToolError, type Tool, type ToolCall, type ToolFetch } from '../runs/tool.ts';
import type { Link } from './mcp/link.ts';
import type { ListedTool } from './mcp/listing.ts';
import { callRunner, noTool, type AnswerCache } from './runner.ts';

/** A server that cannot be used. The message is a sentence about it, for the caller of this server. */
class RemoteUnavailable extends Error {
  override readonly name = 'RemoteUnavailable';
}

/** What calls of servers of requests are made with. */
export interface RemoteMeans {
  readonly fetch: ToolFetch;
  readonly cache: AnswerCache;
  readonly log: Logger;
  readonly limits?: Partial<RemoteLimits>;
}

/** Times and numbers; they have defaults. */
export interface RemoteLimits {
  /** For the handshake and the list of tools together. */
  readonly connectMs: number;
  readonly callMs: number;
  /** A connection that nobody has used for so long is closed. */
  readonly idleMs: number;
  /** After this time the tools are listed again, over a new connection: the servers cannot say that they have changed. */
  readonly freshMs: number;
  readonly connections: number;
  /** Of one project, so that it leaves some to the others. */
  readonly projectConnections: number;
}

const LIMITS: RemoteLimits = {
  connectMs: 10_000,
  callMs: 60_000,
  idleMs: 60_000,
  freshMs: 60_000,
  connections: 128,
  projectConnections: 32,
};
const listingsSchema: z.ZodType<readonly RemoteListing[]> = z.array(
  z.object({
    name: z.string(),
    description: z.string(),
    parameters: z.record(z.string(), z.unknown()),
    annotations: z.record(z.string(), z.unknown()).nullable(),
    isReadOnly: z.boolean(),
  }),
);
const PING_MS = 10_000;
const MAX_OUTPUT_BYTES = 256 * 1024;

/** A connection, and the tools at its other end. */
interface Connected {
  readonly link: Link;
  /** By the server's own names, without their schemas. */
  readonly tools: ReadonlyMap<string, ListedTool>;
  /** The {@link RemoteListing}s as JSON: values can take twenty times as much memory. */
  readonly listings: string;
}

interface KeptLink {
  readonly connected: Promise<Connected>;
  readonly stop: AbortController;
  readonly openedMs: number;
  idle: NodeJS.Timeout | undefined;
  users: number;
}

export class RemoteServers {
  readonly #means: RemoteMeans;
  readonly #limits: RemoteLimits;
  /** The least recently used first. */
  readonly #entries = new Map<string, KeptLink>();

  constructor(means: RemoteMeans) {
    this.#means = means;
    this.#limits = { ...LIMITS, ...means.limits };
  }

  /** The tools of a server. @throws the signal's reason when aborted, and nothing else */
  async list(project: string, target: RemoteTarget, signal: AbortSignal): Promise<RemoteTools> {
    try {
      return await this.#use(project, target, async (connected) => {
        const { listings } = await settledBy(connected, signal);
        return { type: 'tools', tools: listingsSchema.parse(JSON.parse(listings)) };
      });
    } catch (error) {
      if (error instanceof RemoteUnavailable) return { type: 'unavailable', reason: error.message };
      throw error;
    }
  }

  /**
   * Runs one call and answers with JSON for the model, errors included.
   * @param tool the server's own name for it
   * @throws the signal's reason when aborted, and nothing else
   */
  async run(
    target: RemoteTarget,
    tool: string,
    { written, asked }: { readonly written: string; readonly asked: ToolCall },
    signal: AbortSignal,
  ): Promise<unknown> {
    const { fetch, cache, log } = this.#means;
    const { callMs, connectMs } = this.#limits;
    const called: Tool = {
      name: tool,
      description: '',
      parameters: {},
      timeoutMs: callMs,
      maxOutputBytes: MAX_OUTPUT_BYTES,
      cacheS: 0,
      answeredBy: 'worker',
      waitMs: connectMs,
      run: (args, context) => {
        if (!isRecord(args)) throw new ToolArgumentError('The arguments must be a JSON object.');
        return this.#call(asked.project, target, tool, { ...context, args });
      },
    };
    // Neither the variables of the request nor its other fields are the server's business.
    const own: ToolCall = { ...asked, extras: {}, secrets: {} };
    return callRunner(cache, log)({ tool: called, settings: {}, fetch }, written, own, signal);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#entries.keys()].map(async (key) => this.#end(key)));
  }

  async #call(
    project: string,
    target: RemoteTarget,
    tool: string,
    {
      args,
      callId,
      signal,
    }: {
      readonly args: Record<string, unknown>;
      readonly callId: string | null;
      readonly signal: AbortSignal;
    },
  ): Promise<unknown> {
    const { callMs } = this.#limits;
    const once = async (): Promise<unknown> =>
      this.#use(project, target, async (connected) => {
        const { link, tools } = await settledBy(connected, signal);
        const listed = tools.get(tool);
        return listed === undefined
          ? noTool(tool)
          : link.call(listed, args, { callId, timeoutMs: callMs, signal });
      });
    const { Unanswered } = await import('./mcp/broken.ts');
    try {
      return await once();
    } catch (error) {
      if (error instanceof RemoteUnavailable) throw new ToolError(error.message, { cause: error });
      // A connection that was kept may have been lost since, and then the next one serves.
      if (!(error instanceof Unanswered) || !error.mayRepeat) throw error;
      await this.#end(keyOf(project, target));
      return once();
    }
  }

  async #use<T>(
    project: string,
    target: RemoteTarget,
    what: (connected: Promise<Connected>) => Promise<T>,
  ): Promise<T> {
    const key = keyOf(project, target);
    const kept = this.#entries.get(key);
    // One in use is left in peace.
    if (kept?.users === 0 && performance.now() - kept.openedMs >= this.#limits.freshMs) void this.#end(key);
    const entry = this.#entries.get(key) ?? this.#open(project, key, target);
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    clearTimeout(entry.idle);
    entry.users += 1;
    try {
      return await what(entry.connected);
    } finally {
      entry.users -= 1;
      if (entry.users === 0)
        entry.idle = setTimeout(() => this.#forget(key, entry), this.#limits.idleMs).unref();
    }
  }

  #open(project: string, key: string, target: RemoteTarget): KeptLink {
    this.#makeRoom(project);
    const stop = new AbortController();
    const entry: KeptLink = {
      connected: this.#connect(target, stop.signal),
      stop,
      openedMs: performance.now(),
      idle: undefined,
      users: 0,
    };
    this.#entries.set(key, entry);
    entry.connected.then(
      async ({ link }) => {
        await link.over;
        this.#forget(key, entry);
      },
      () => this.#forget(key, entry),
    );
    return entry;
  }

  async #connect(target: RemoteTarget, signal: AbortSignal): Promise<Connected> {
    const { fetch, log } = this.#means;
    const [{ Link: Opened }, { HttpTransport }, { reasonOf }] = await Promise.all([
      import('./mcp/link.ts'),
      import('./mcp/http.ts'),
      import('./mcp/broken.ts'),
    ]);
    const { connectMs } = this.#limits;
    const late = AbortSignal.timeout(connectMs);
    let tools: readonly ListedTool[] = [];
    try {
      const link = await Opened.open(
        {
          transport: new HttpTransport(target, fetch, true),
          choice: { prefix: '', isForeign: true },
          connectMs,
          pingMs: PING_MS,
          log,
          onTools: (listed) => (tools = listed),
        },
        AbortSignal.any([signal, late]),
      );
      return {
        link,
        tools: new Map(tools.map((tool) => [tool.remote.name, calledPart(tool)])),
        listings: JSON.stringify(tools.map(listingOf)),
      };
    } catch (error) {
      const reason = late.aborted ? 'It did not answer in time.' : reasonOf(error);
      throw new RemoteUnavailable(reason, { cause: error });
    }
  }

  /** Closes those that nobody uses, the least recently used first. */
  #makeRoom(project: string): void {
    const { connections, projectConnections } = this.#limits;
    const own = (key: string): boolean => key.startsWith(`${project}/`);
    this.#shrink(own, projectConnections);
    this.#shrink(() => true, connections);
  }

  /** @throws {RemoteUnavailable} when too many of them are in use. */
  #shrink(counts: (key: string) => boolean, limit: number): void {
    const counted = [...this.#entries].filter(([key]) => counts(key));
    const unused = counted.filter(([, { users }]) => users === 0);
    const excess = counted.length - limit + 1;
    for (const [key] of unused.slice(0, Math.max(0, excess))) void this.#end(key);
    if (excess > unused.length)
      throw new RemoteUnavailable('Too many servers are being asked now. Try again in a moment.');
  }

  #forget(key: string, entry: KeptLink): void {
    if (this.#entries.get(key) === entry) void this.#end(key);
  }

  async #end(key: string): Promise<void> {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    clearTimeout(entry.idle);
    entry.stop.abort();
    // One that never connected has nothing to close.
    const connected = await entry.connected.catch(() => null);
    await connected?.link.close();
  }
}

function keyOf(project: string, { url, headers }: RemoteTarget): string {
  return `${project}/${hash('sha256', JSON.stringify([url, headers]))}`;
}

/** What a call needs of a tool. */
function calledPart({ name, remote }: ListedTool): ListedTool {
  const { name: original, annotations } = remote;
  return {
    name,
    description: '',
    remote: { name: original, inputSchema: { type: 'object' }, ...(annotations && { annotations }) },
  };
}

function listingOf({ description, remote }: ListedTool): RemoteListing {
  const { name, inputSchema, annotations } = remote;
  return {
    name,
    description,
    // Model servers demand `properties`, even when there are none.
    parameters: { ...inputSchema, properties: inputSchema.properties ?? {} },
    annotations: annotations === undefined ? null : { ...annotations },
    isReadOnly: annotations?.readOnlyHint === true,
  };
}

/** What comes of it, unless the caller has gone before. */
async function settledBy<T>(coming: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([coming, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

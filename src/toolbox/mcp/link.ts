/**
 * One connection to an MCP server, from the handshake to its end. It never comes back: who wants another opens another.
 * What the server is not offered: our files, our models, our users (no roots, sampling or elicitation).
 */
import { Client, ProtocolError, SdkError, SdkErrorCode, type Transport } from '@modelcontextprotocol/client';
import packageJson from '../../../package.json' with { type: 'json' };
import type { Logger } from '../../log.ts';
import { ToolError } from '../../runs/tool.ts';
import { Broken, reasonOf, reportable } from './broken.ts';
import { listTools, type Choice, type ListedTool } from './listing.ts';
import { errorText, outputOf } from './result.ts';

/** How a connection is used and watched. */
export interface LinkOptions {
  readonly transport: Transport;
  readonly choice: Choice;
  /** For the handshake, and for the list of tools. */
  readonly connectMs: number;
  /** For the question whether the server is still there. */
  readonly pingMs: number;
  readonly log: Logger;
  /** Hears the tools at the start and whenever the server has changed them. */
  readonly onTools: (tools: readonly ListedTool[]) => void;
}

/** What the caller of a tool allows. */
export interface CallLimits {
  /** Of one call of a run: the same when the run calls again because nobody heard the answer. */
  readonly callId: string | null;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Servers that announce changes one by one are asked once. */
const CHANGES_SETTLE_MS = 300;

export class Link {
  /** Why the connection has ended; never rejects. */
  readonly over: Promise<string>;

  readonly #options: LinkOptions;
  readonly #client: Client;
  readonly #end: (reason: string) => void;
  #isOver = false;
  /** Whether an answer is on its way that will show if the server is there; the handshake is one. */
  #isAsking = true;
  #isListing = false;
  #hasChanged = false;

  private constructor(options: LinkOptions) {
    const over = Promise.withResolvers<string>();
    this.#options = options;
    this.over = over.promise;
    this.#end = (reason) => {
      this.#isOver = true;
      over.resolve(reason);
    };
    this.#client = new Client(
      { name: packageJson.name, version: packageJson.version },
      {
        capabilities: {},
        listChanged: {
          tools: {
            autoRefresh: false,
            debounceMs: CHANGES_SETTLE_MS,
            onChanged: () => void this.#refresh(),
          },
        },
      },
    );
    this.#client.onclose = () => this.#end('It has ended the connection.');
    this.#client.onerror = (error) => this.#doubt(error);
  }

  /**
   * Connects and lists the tools.
   * @throws {Broken} when either fails; nothing of the connection is left then.
   */
  static async open(options: LinkOptions, signal: AbortSignal): Promise<Link> {
    const link = new Link(options);
    const onAbort = (): void => void link.close();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      signal.throwIfAborted();
      await link.#client.connect(options.transport, { timeout: options.connectMs });
      await link.#list();
      link.#isAsking = false;
      return link;
    } catch (error) {
      const reason = isClosed(error) && link.#isOver ? await link.over : reasonOf(error);
      await link.close();
      throw new Broken(reason);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /**
   * Calls a tool and gives its result as a model is told it.
   * @throws {ToolError} when the server fails or says that the tool has failed.
   * @throws the signal's reason when aborted.
   */
  async call({ remote }: ListedTool, args: Record<string, unknown>, limits: CallLimits): Promise<unknown> {
    const { callId, timeoutMs, signal } = limits;
    const meta = callId === null ? {} : { _meta: { 'longrun/call_id': callId } };
    try {
      const result = await this.#client.callTool(
        { name: remote.name, arguments: args, ...meta },
        { timeout: timeoutMs, signal, toolDefinition: remote },
      );
      if (result.isError !== true) return outputOf(result);
      throw new ToolError(errorText(result));
    } catch (error) {
      if (error instanceof ToolError) throw error;
      if (isTimeout(error)) this.#doubt(error);
      signal.throwIfAborted();
      throw new ToolError(`The tool's server did not answer the call. ${reasonOf(error)}`);
    }
  }

  /** Ends the connection, and the server's process where it is ours. Calls that wait get an error. */
  async close(): Promise<void> {
    await this.#client.close();
    // Where the client had let go of it already.
    await this.#options.transport.close();
  }

  async #list(): Promise<void> {
    const { choice, connectMs, log, onTools } = this.#options;
    const canList = this.#client.getServerCapabilities()?.tools !== undefined;
    onTools(canList ? await listTools(this.#client, choice, connectMs, log) : []);
  }

  /** After changes; those that come meanwhile are asked for again. */
  async #refresh(): Promise<void> {
    this.#hasChanged = true;
    if (this.#isListing) return;
    this.#isListing = true;
    while (this.#hasChanged && !this.#isOver) {
      this.#hasChanged = false;
      try {
        await this.#list();
      } catch (error) {
        const reason = reasonOf(error);
        const { log } = this.#options;
        log.warn({ reason: reportable(reason) }, 'changed tools of an MCP server cannot be listed');
        log.debug({ reason }, 'why the tools of an MCP server cannot be listed');
      }
    }
    this.#isListing = false;
  }

  /** Not every error is the end, and not every end is said: over HTTP it shows only when the server is asked. */
  #doubt(error: unknown): void {
    this.#options.log.debug({ reason: reasonOf(error) }, 'error of an MCP server');
    if (error instanceof Broken) return this.#giveUp(error.message);
    if (!this.#isAsking && !this.#isOver) void this.#ask();
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    try {
      await this.#client.ping({ timeout: this.#options.pingMs });
    } catch (error) {
      // Refusing to answer is an answer.
      if (!(error instanceof ProtocolError)) this.#giveUp(reasonOf(error));
    }
    this.#isAsking = false;
  }

  #giveUp(reason: string): void {
    if (this.#isOver) return;
    this.#end(reason);
    void this.close();
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof SdkError && error.code === SdkErrorCode.ConnectionClosed;
}

function isTimeout(error: unknown): boolean {
  return error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout;
}

/**
 * One connection to an MCP server, from the handshake to its end. It is never reopened: for another connection, open
 * another link. The server is not offered our files, our models or our users (no roots, sampling or elicitation).
 */
import { Client, ProtocolError, SdkError, SdkErrorCode, type Transport } from '@modelcontextprotocol/client';
import packageJson from '../../../package.json' with { type: 'json' };
import type { Logger } from '../../log.ts';
import { ToolError } from '../../runs/tool.ts';
import { Broken, isCutOff, isSessionLost, isUnsent, reasonOf, reportable, Unanswered } from './broken.ts';
import { listTools, type Choice, type ListedTool } from './listing.ts';
import { errorText, outputOf } from './result.ts';

/** How a connection is used and watched. */
export interface LinkOptions {
  readonly transport: Transport;
  readonly choice: Choice;
  /** Time limit of the handshake, and of the list of tools. */
  readonly connectMs: number;
  /** Time limit of a ping. */
  readonly pingMs: number;
  readonly log: Logger;
  /** Called with the tools at the start, and whenever a server of the operator's has changed them. */
  readonly onTools: (tools: readonly ListedTool[]) => void;
}

/** What the caller of a tool allows. */
export interface CallLimits {
  /** Names one call of a run; the same when the run repeats the call because the answer was lost. */
  readonly callId: string | null;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** After this pause, a server that announces changes one by one is asked once for all of them. */
const CHANGES_SETTLE_MS = 300;

export class Link {
  /** Why the connection has ended; never rejects. */
  readonly over: Promise<string>;

  readonly #options: LinkOptions;
  readonly #client: Client;
  readonly #end: (reason: string) => void;
  #isOver = false;
  /** Whether a request is under way that shows if the server is alive; the handshake is one. */
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
        // One that may mean harm could make us list its tools again and again.
        ...(options.choice.isForeign !== true && {
          listChanged: {
            tools: {
              autoRefresh: false,
              debounceMs: CHANGES_SETTLE_MS,
              onChanged: () => void this.#refresh(),
            },
          },
        }),
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
   * Calls a tool and returns its result as the model gets it.
   * @throws {Unanswered} when the server fails.
   * @throws {ToolError} when it says that the tool has failed.
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
      const reason = reasonOf(error);
      const isRefused = isSessionLost(error) || isUnsent(error);
      const mayRepeat = isRefused || (isCutOff(error) && isRepeatable(remote));
      if (mayRepeat) this.#giveUp(reason);
      throw new Unanswered(reason, mayRepeat);
    }
  }

  /** Ends the connection, and the server's process where we have started it. Waiting calls get an error. */
  async close(): Promise<void> {
    await this.#client.close();
    // The client may have released it already, and then does not close it.
    await this.#options.transport.close();
  }

  async #list(): Promise<void> {
    const { choice, connectMs, log, onTools } = this.#options;
    const canList = this.#client.getServerCapabilities()?.tools !== undefined;
    onTools(canList ? await listTools(this.#client, choice, connectMs, log) : []);
  }

  /** Lists the tools after a change; once more if further changes come meanwhile. */
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

  /** Not every error ends the connection, and not every end is reported: over HTTP only a request shows it. */
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
      // A server that refuses the ping is alive.
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

/** Whether the server says that calling the tool twice is as good as once. */
function isRepeatable({ annotations }: ListedTool['remote']): boolean {
  return annotations?.readOnlyHint === true || annotations?.idempotentHint === true;
}

function isClosed(error: unknown): boolean {
  return error instanceof SdkError && error.code === SdkErrorCode.ConnectionClosed;
}

function isTimeout(error: unknown): boolean {
  return error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout;
}

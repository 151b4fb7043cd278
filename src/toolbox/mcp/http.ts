/** An MCP server behind an address: the library's streamable HTTP transport over a guarded fetch. */
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { ToolFetch } from '../../runs/tool.ts';
import { Unreachable } from './broken.ts';
import { MAX_MESSAGE_BYTES } from './child.ts';

/** Where a server is. */
export interface HttpServer {
  readonly url: string;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The server may wish for less, and would be asked without a pause. */
const MIN_STREAM_PAUSE_MS = 1_000;
/** For saying goodbye to a server that may be gone. */
const GOODBYE_MS = 1_000;

export class HttpTransport extends StreamableHTTPClientTransport {
  #closing: Promise<void> | null = null;

  constructor({ url, headers }: HttpServer, fetch: ToolFetch) {
    super(new URL(url), {
      requestInit: { headers: { ...headers } },
      fetch: async (address, init) => {
        try {
          return await fetch(address, { ...init, maxBytes: MAX_MESSAGE_BYTES });
        } catch (error) {
          throw init?.signal?.aborted === true ? error : new Unreachable(messageOf(error));
        }
      },
      reconnectionScheduler: (reconnect, delayMs) => {
        const timer = setTimeout(reconnect, Math.max(delayMs, MIN_STREAM_PAUSE_MS)).unref();
        return () => clearTimeout(timer);
      },
    });
  }

  /** Ends the session at the server, too, when it answers soon. */
  override close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    const late = setTimeout(() => void super.close(), GOODBYE_MS);
    await this.terminateSession().catch(() => {});
    clearTimeout(late);
    await super.close();
  }
}

/** A guarded fetch's own words may be shown; the global one hides the reason in the cause. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return 'no reason given.';
  return error.cause instanceof Error && 'code' in error.cause
    ? `${String(error.cause.code)}.`
    : error.message;
}

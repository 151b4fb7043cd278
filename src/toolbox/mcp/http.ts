/** An MCP server at an address: the library's streamable HTTP transport over a guarded fetch. */
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { ToolFetch } from '../../runs/tool.ts';
import { Unreachable } from './broken.ts';
import { MAX_MESSAGE_BYTES } from './child.ts';
import { FOREIGN_MESSAGE_BYTES, Hearing } from './foreign.ts';

/** The address of a server, and the headers for it. */
export interface HttpServer {
  readonly url: string;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A server may ask for a shorter pause, and would then be asked without any. */
const MIN_STREAM_PAUSE_MS = 1_000;
/** Time to end the session with a server that may be gone. */
const GOODBYE_MS = 1_000;

export class HttpTransport extends StreamableHTTPClientTransport {
  readonly #hearing: Hearing | null;
  #closing: Promise<void> | null = null;

  /** @param isForeign whether the server came with a request, and is bounded as one that may mean harm. */
  constructor({ url, headers }: HttpServer, fetch: ToolFetch, isForeign = false) {
    const maxBytes = isForeign ? FOREIGN_MESSAGE_BYTES : MAX_MESSAGE_BYTES;
    super(new URL(url), {
      requestInit: { headers: { ...headers } },
      fetch: async (address, init) => {
        if (isForeign && opensStream(init)) return new Response(null, { status: 405 });
        try {
          return await fetch(address, { ...init, maxBytes });
        } catch (error) {
          throw init?.signal?.aborted === true ? error : new Unreachable(messageOf(error));
        }
      },
      reconnectionScheduler: (reconnect, delayMs) => {
        const timer = setTimeout(reconnect, Math.max(delayMs, MIN_STREAM_PAUSE_MS)).unref();
        return () => clearTimeout(timer);
      },
    });
    this.#hearing = isForeign ? new Hearing() : null;
  }

  override async start(): Promise<void> {
    const hearing = this.#hearing;
    // The client listens before it starts.
    const hear = this.onmessage;
    if (hearing !== null && hear !== undefined)
      this.onmessage = (message) => {
        if (hearing.hears(message)) hear(message);
      };
    await super.start();
  }

  /** Also ends the session on the server, if that answers soon. */
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

/** Whether the request is for a stream on which the server speaks unasked. Streams of answers go on from their last event. */
function opensStream(init: RequestInit | undefined): boolean {
  return init?.method === 'GET' && !new Headers(init.headers).has('last-event-id');
}

/** The message of a guarded fetch may be shown; the global fetch hides the reason in the cause. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return 'no reason given.';
  return error.cause instanceof Error && 'code' in error.cause
    ? `${String(error.cause.code)}.`
    : error.message;
}

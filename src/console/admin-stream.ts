/**
 * What happens in the service, as it happens: `GET /v1/admin/events`. All parts of the console share one connection, which
 * begins with the first that listens and ends with the last.
 */
import { decoded, type StreamEvent } from './api.ts';
import { isAbort, wordsOf, type App } from './app.ts';
import type { Run, RunStatus, Usage } from './wire.ts';

/** Comes first on every connection. */
export interface AdminHello {
  readonly version: string;
  /** The reader's own. */
  readonly project: string;
  /** Whether the reader may see all projects and the service itself. */
  readonly operator: boolean;
  readonly auth: string;
  /** Whether the demo model answers. */
  readonly demo: boolean;
  /** The server's clock, in unix seconds. */
  readonly server_time: number;
}

/** What became of a run: one for each change of its status. */
export interface RunNews {
  readonly project: string;
  readonly id: string;
  readonly thread_id: string;
  readonly assistant_id: string;
  readonly model: string;
  readonly backend: string | null;
  readonly status: RunStatus;
  /** All times are unix seconds. */
  readonly created_at: number;
  readonly started_at: number | null;
  readonly completed_at: number | null;
  readonly failed_at?: number | null;
  readonly cancelled_at?: number | null;
  readonly usage: Usage | null;
  readonly last_error: Run['last_error'];
  readonly cost: number | null;
  readonly at: number;
}

/** How the whole service is; only operators are told. */
export interface ServiceNews {
  readonly at: number;
  readonly queue: {
    readonly waiting: number;
    readonly active: number;
    readonly delayed: number;
    readonly oldest_wait_ms: number;
  };
  readonly workers: readonly WorkerNews[];
  readonly redis: {
    readonly used_memory_bytes: number;
    readonly max_memory_bytes: number | null;
    readonly ok: boolean;
  };
  readonly streams: number;
  readonly sockets: number;
  readonly open_runs: number;
  readonly first_word: {
    readonly p50_s: number | null;
    readonly p90_s: number | null;
    readonly p99_s: number | null;
    readonly count: number;
  };
  readonly requests: { readonly count: number; readonly errors_4xx: number; readonly errors_5xx: number };
  readonly upstreams: readonly {
    readonly name: string;
    readonly requests: number;
    readonly errors: number;
    readonly retries: number;
  }[];
  readonly tokens: { readonly input: number; readonly output: number };
  readonly failures: Readonly<Record<string, number>>;
  readonly threads: { readonly all: number; readonly cold: number };
}

export interface WorkerNews {
  readonly name: string;
  readonly busy: number;
  readonly slots: number;
  readonly skew_ms: number;
  readonly running: readonly {
    readonly run_id: string;
    readonly thread_id: string;
    readonly project: string;
  }[];
}

/** A part of the console that listens. It redraws itself. */
export interface AdminListener {
  /** With every connection; at once, where there is one already. */
  hello?(hello: AdminHello): void;
  run?(news: RunNews): void;
  service?(news: ServiceNews): void;
  /** Some news did not come: the connection was lost, or the reader is slow. What was read before is to be read again. */
  missed?(): void;
  /**
   * The connection has come or gone; a lost one comes back by itself.
   * @param problem what the server says where it refuses, after which nothing comes any more
   */
  connection?(isThere: boolean, problem: string | null): void;
}

const connections = new WeakMap<App, AdminConnection>();

/** Tells `listener` what happens. @returns how to stop */
export function listenToAdmin(app: App, listener: AdminListener): () => void {
  const connection = connections.get(app) ?? new AdminConnection(app);
  connections.set(app, connection);
  return connection.add(listener);
}

class AdminConnection {
  readonly #app: App;
  readonly #listeners = new Set<AdminListener>();
  #aborter: AbortController | null = null;
  #hello: AdminHello | null = null;
  /** Whether there was a connection before this one, of which the end was missed. */
  #wasLost = false;

  constructor(app: App) {
    this.#app = app;
    document.addEventListener('visibilitychange', this.#onVisibility);
  }

  add(listener: AdminListener): () => void {
    this.#listeners.add(listener);
    if (this.#hello !== null) {
      listener.connection?.(true, null);
      listener.hello?.(this.#hello);
    }
    this.#begin();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#end();
      this.#wasLost = false;
    };
  }

  /** A hidden tab gives its connection back: browsers have six for all tabs of a server. */
  readonly #onVisibility = (): void => {
    if (!document.hidden) this.#begin();
    else if (this.#aborter !== null) {
      this.#wasLost = true;
      this.#end();
    }
  };

  #begin(): void {
    if (this.#aborter !== null || this.#listeners.size === 0 || document.hidden) return;
    this.#aborter = new AbortController();
    void this.#follow(this.#aborter.signal);
  }

  #end(): void {
    this.#aborter?.abort();
    this.#aborter = null;
    this.#hello = null;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const onConnection = (isThere: boolean): void => {
      if (isThere) return;
      this.#wasLost ||= this.#hello !== null;
      this.#hello = null;
      this.#tell((listener) => listener.connection?.(false, null));
    };
    try {
      const events = this.#app.api.follow('/admin/events', { isOver: () => false, signal, onConnection });
      for await (const event of events) this.#take(event);
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      this.#tell((listener) => listener.connection?.(false, wordsOf(error)));
    }
  }

  #take({ event, data }: StreamEvent): void {
    switch (event) {
      case 'hello': {
        const hello = decoded<AdminHello>(data);
        this.#hello = hello;
        this.#tell((listener) => {
          listener.connection?.(true, null);
          listener.hello?.(hello);
        });
        if (this.#wasLost) this.#tell((listener) => listener.missed?.());
        return;
      }
      case 'run': {
        const news = decoded<RunNews>(data);
        return this.#tell((listener) => listener.run?.(news));
      }
      case 'service': {
        const news = decoded<ServiceNews>(data);
        return this.#tell((listener) => listener.service?.(news));
      }
      case 'lagged':
        return this.#tell((listener) => listener.missed?.());
    }
  }

  #tell(tell: (listener: AdminListener) => void): void {
    for (const listener of this.#listeners) tell(listener);
  }
}

/**
 * What happens in the service, as it happens: `GET /v1/admin/events`. All parts of the console share one connection, which
 * begins with the first that listens and ends with the last.
 */
import { decoded, type StreamEvent } from './api.ts';
import { isAbort, wordsOf, type App } from './app.ts';
import { say } from './say.ts';
import type { Run, RunStatus, Usage } from './wire.ts';

/** Comes first on every connection. */
export interface AdminHello {
  readonly version: string;
  /** The reader's own. */
  readonly project: string;
  /** The one whose runs are told of; `*` for all. */
  readonly watched: string;
  /** Whether the reader may see all projects and the service itself. */
  readonly operator: boolean;
  readonly auth: string;
  /** Whether the demo model answers. */
  readonly demo: boolean;
  /** Whether the server has tools of its own. */
  readonly tools: boolean;
  /** What costs are in; null where the server knows no prices. */
  readonly currency: string | null;
  /** The server's clock, in unix seconds. */
  readonly server_time: number;
  /** How far apart the `service` events of the history are, in seconds. */
  readonly history_every_s: number;
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

/** How the whole service is; only operators are told. Null is what Redis did not tell. */
export interface ServiceNews {
  /** Unix seconds. */
  readonly at: number;
  /** From before the connection: first come some of these, the oldest first, without the runs of workers. */
  readonly history?: true;
  readonly queue: {
    readonly waiting: number;
    readonly active: number;
    readonly delayed: number;
    readonly oldest_wait_ms: number;
  } | null;
  readonly open_runs: number | null;
  readonly workers: readonly WorkerNews[];
  readonly apis: readonly ApiNews[];
  readonly redis: {
    readonly ok: boolean;
    readonly used_memory_bytes: number | null;
    readonly max_memory_bytes: number | null;
  };
  readonly streams_open: number;
  readonly sockets_open: number;
  readonly first_word: {
    readonly p50_s: number | null;
    readonly p90_s: number | null;
    readonly p99_s: number | null;
    readonly count: number;
  };
  readonly requests: { readonly count: number; readonly errors_4xx: number; readonly errors_5xx: number };
  readonly upstreams: readonly UpstreamNews[];
  readonly tokens: Readonly<Record<TokenKind, number>>;
  readonly failures: Readonly<Record<string, number>>;
  readonly threads: { readonly all: number; readonly cold: number } | null;
  readonly library: { readonly files_to_embed: number; readonly files_lost: number } | null;
  readonly last_minute: {
    readonly seconds: number;
    readonly requests: number;
    readonly errors_4xx: number;
    readonly errors_5xx: number;
    readonly input_tokens: number;
    readonly output_tokens: number;
  } | null;
}

type TokenKind = 'input' | 'cached' | 'output' | 'reasoning';

export interface UpstreamNews {
  readonly name: string;
  readonly requests: number;
  readonly errors: number;
  readonly errors_by_kind: Readonly<Record<string, number>>;
  readonly retries: number;
  readonly tokens: Readonly<Record<TokenKind, number>>;
}

export interface WorkerNews {
  readonly name: string;
  readonly busy: number;
  readonly slots: number;
  readonly since: number | null;
  readonly age_ms: number | null;
  readonly skew_ms: number;
  readonly rebuilds: number;
  readonly stalls: number;
  readonly running: readonly {
    readonly run_id: string;
    readonly thread_id: string;
    readonly project: string;
  }[];
}

export interface ApiNews {
  readonly name: string;
  readonly since: number | null;
  readonly age_ms: number;
  readonly streams: number;
  readonly sockets: number;
  readonly memory_bytes: number;
  readonly loop_delay_ms: number;
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
   * The connection has come or gone, or the server's own to its news; a lost one comes back by itself.
   * @param problem what keeps news away although the server answers: what it says where it refuses, after which nothing comes
   *   any more, or that it has lost Redis
   */
  connection?(isThere: boolean, problem: string | null): void;
}

/** By app, and by the project that is watched. */
const connections = new WeakMap<App, Map<string, AdminConnection>>();

/**
 * Tells `listener` what happens.
 * @param project whose runs are told of: the reader's own, unless an operator asks for another, or for `*`, all of them
 * @returns how to stop
 */
export function listenToAdmin(app: App, listener: AdminListener, project = ''): () => void {
  const all = connections.get(app) ?? new Map<string, AdminConnection>();
  connections.set(app, all);
  const connection = all.get(project) ?? new AdminConnection(app, project);
  all.set(project, connection);
  return connection.add(listener);
}

class AdminConnection {
  readonly #app: App;
  readonly #path: string;
  readonly #listeners = new Set<AdminListener>();
  #aborter: AbortController | null = null;
  #hello: AdminHello | null = null;
  /** Whether the server has lost its own connection, to Redis, and has no news. */
  #isAway = false;
  /** Whether there was a connection before this one, of which the end was missed. */
  #wasLost = false;

  constructor(app: App, project: string) {
    this.#app = app;
    this.#path = `/admin/events${project === '' ? '' : `?project=${encodeURIComponent(project)}`}`;
    document.addEventListener('visibilitychange', this.#onVisibility);
  }

  add(listener: AdminListener): () => void {
    this.#listeners.add(listener);
    if (this.#hello !== null) {
      listener.connection?.(!this.#isAway, this.#isAway ? awayWords() : null);
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
      const events = this.#app.api.follow(this.#path, { isOver: () => false, signal, onConnection });
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
        this.#isAway = false;
        this.#tell((listener) => {
          listener.connection?.(true, null);
          listener.hello?.(hello);
        });
        const wasLost = this.#wasLost;
        this.#wasLost = false;
        if (wasLost) this.#tell((listener) => listener.missed?.());
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
      case 'away':
        this.#isAway = true;
        return this.#tell((listener) => listener.connection?.(false, awayWords()));
      case 'lagged':
        if (this.#isAway) this.#tell((listener) => listener.connection?.(true, null));
        this.#isAway = false;
        return this.#tell((listener) => listener.missed?.());
    }
  }

  #tell(tell: (listener: AdminListener) => void): void {
    for (const listener of this.#listeners) tell(listener);
  }
}

function awayWords(): string {
  return say(
    'The server has lost its connection to Redis. This page goes on when it is back.',
    '服务器与 Redis 的连接已断开。恢复后本页会继续更新。',
  );
}

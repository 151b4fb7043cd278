/**
 * An OpenAPI or Swagger document, or an `ai-plugin.json` manifest, as a source of tools: one for each operation. Loads
 * in the background and tries again until it succeeds; the start of the process does not wait for it. All requests go
 * over the guarded fetch.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SourceHealth, Tool, ToolFetch, ToolLog, ToolSource } from '../runs/tool.ts';
import { parseDocument } from './openapi/document.ts';
import { createKeys } from './openapi/keys.ts';
import { loadDocument, urlOf } from './openapi/load.ts';
import { createToolset } from './openapi/toolset.ts';

const FIRST_PAUSE_MS = 5_000;
const MAX_PAUSE_MS = 5 * 60_000;

/** One entry of `openapi` in the configuration. */
export interface OpenApiOptions {
  /** http(s) URL, or path of a file. */
  readonly document: string;
  /** Its name in listings. Default: the manifest's name, or the document's title. */
  readonly name?: string;
  /** Begins the name of every tool. */
  readonly prefix: string;
  /** operationIds, or `METHOD /path`; all operations by default. */
  readonly allow?: readonly string[];
  /** Replaces the document's servers. Without password and query. */
  readonly baseUrl?: string;
  /** Sent with every call, keys included. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly maxResponseBytes: number;
}

export interface OpenApiMeans {
  readonly fetch: ToolFetch;
  readonly log: ToolLog;
  /** Unix seconds. */
  readonly now: () => number;
  /** Waits between two tries; rejects when aborted. Default: a timer that keeps no process alive. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface OpenApiSource extends ToolSource {
  readonly type: 'openapi';
  /** As configured, or what the document calls itself once it is loaded. */
  readonly name: string;
  /** Resolves when the tools are loaded, or when the source is closed before. Never rejects. */
  readonly ready: Promise<void>;
}

/** Begins to load at once. */
export function createOpenApiSource(options: OpenApiOptions, means: OpenApiMeans): OpenApiSource {
  return new Source(options, means);
}

class Source implements OpenApiSource {
  readonly type = 'openapi';
  readonly from: string;
  readonly ready: Promise<void>;
  readonly #options: OpenApiOptions;
  readonly #means: OpenApiMeans;
  readonly #log: ToolLog;
  readonly #closing = new AbortController();
  #name: string;
  #tools: readonly Tool[] = [];
  #health: SourceHealth;

  constructor(options: OpenApiOptions, means: OpenApiMeans) {
    this.#options = options;
    this.#means = means;
    this.from = withoutSecrets(options.document);
    this.#log = logOf(means.log, this.from);
    this.#name = options.name ?? this.from;
    this.#health = { status: 'unavailable', since: means.now(), reason: 'It is being loaded.' };
    this.ready = this.#loadUntilDone();
  }

  get name(): string {
    return this.#name;
  }

  tools(): readonly Tool[] {
    return this.#tools;
  }

  health(): SourceHealth {
    return this.#health;
  }

  /** Ends the loading. Calls under way go on. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.ready;
  }

  async #loadUntilDone(): Promise<void> {
    const { signal } = this.#closing;
    const { now, pause = rest } = this.#means;
    const since = now();
    for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
      try {
        await this.#load(signal);
        this.#health = { status: 'ok' };
        return;
      } catch (error) {
        if (signal.aborted) return;
        const reason = this.#reasonOf(error);
        this.#health = { status: 'unavailable', since, reason };
        this.#log.warn({ retry_after_ms: pauseMs }, `the OpenAPI document cannot be used: ${reason}`);
      }
      // It rejects only when aborted, which the loop checks.
      await pause(pauseMs, signal).catch(() => undefined);
    }
  }

  async #load(signal: AbortSignal): Promise<void> {
    const { document, headers, baseUrl, name } = this.#options;
    const named = urlOf(baseUrl ?? document);
    const loaded = await loadDocument(document, this.#means.fetch, createKeys(headers, named), signal);
    const api = await parseDocument(loaded.text);
    const keys = createKeys(headers, named ?? loaded.location);
    const means = { fetch: this.#means.fetch, log: this.#log, keys, location: loaded.location };
    this.#tools = createToolset(api, this.#options, means);
    this.#name = name ?? loaded.name ?? api.title ?? this.from;
    const counts = { operations: api.operations.length, tools: this.#tools.length };
    this.#log.info(counts, 'OpenAPI document loaded');
  }

  #reasonOf(error: unknown): string {
    const message = error instanceof Error ? error.message : String(error);
    return createKeys(this.#options.headers, null).hide(
      message.replaceAll(this.#options.document, this.from),
    );
  }
}

/** An address without its query and user, which may hold keys. */
function withoutSecrets(document: string): string {
  const url = urlOf(document);
  return url === null ? document : `${url.origin}${url.pathname}`;
}

function logOf(log: ToolLog, source: string): ToolLog {
  return {
    info: (fields, message) => log.info({ source, ...fields }, message),
    warn: (fields, message) => log.warn({ source, ...fields }, message),
  };
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false });
}

/**
 * The model behind any OpenAI-compatible server: which upstream, what is asked, how often. Requests go through the
 * `openai` package, answers are read from the raw body (docs/decisions/0003-raw-upstream-stream.md).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { APIConnectionError, APIError, type OpenAI } from 'openai';
import type { Logger } from '../log.ts';
import { newId, type NewId } from '../runs/ids.ts';
import { ModelError, type Model, type ModelPart, type ModelRequest } from '../runs/model.ts';
import { createClient, ownFailure } from './client.ts';
import { Exchange } from './exchange.ts';
import { isPassing, refused, unreachable, UpstreamFailure } from './failure.ts';
import { chatBody, hasPicture } from './request.ts';
import type { Limits } from './patience.ts';
import { limitsOf, route, type Route, type Upstream } from './upstreams.ts';

/** An upstream that wants to be left alone for longer is not asked again: a worker's slot waits that long. */
const MAX_ASKED_WAIT_MS = 30_000;
/** Nobody is told to come back later than in a day. */
const MAX_TOLD_WAIT_MS = 86_400_000;
/** The longest wait of our own choice between two tries. */
const MAX_BACKOFF_MS = 8_000;

export interface OpenAiModelOptions {
  readonly upstreams: readonly Upstream[];
  /** How long an upstream is waited for that has no limits of its own. */
  readonly limits: Limits;
  /** Further tries before the first part of a turn. */
  readonly retries: number;
  readonly log: Logger;
  /** The caller's own upstream key among the sealed secrets of a run, or null. */
  readonly upstreamKey?: (sealed: string) => string | null;
  /** The wait before the second try; it doubles with each further one. */
  readonly backoffMs?: number;
  readonly newId?: NewId;
}

export class OpenAiModel implements Model {
  readonly #options: Required<OpenAiModelOptions>;
  readonly #clients = new Map<string, OpenAI>();

  constructor(options: OpenAiModelOptions) {
    this.#options = { backoffMs: 500, newId, upstreamKey: () => null, ...options };
  }

  async *stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelPart, void> {
    signal.throwIfAborted();
    const { upstreams, upstreamKey } = this.#options;
    const asked = route(upstreams, request.model, request.backend_id, hasPicture(request));
    const there = withKey(asked, request.sealed === null ? null : upstreamKey(request.sealed));
    const client = this.#client(there);
    const { exchange, first } = await this.#open(client, there, request, signal);
    try {
      for (let parts = first; parts !== null; parts = await exchange.next()) {
        for (const part of parts) {
          signal.throwIfAborted();
          yield part;
        }
      }
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      exchange.close();
    }
  }

  /** Asks until the first parts are there: up to here nothing was passed on, so trying again is safe. */
  async #open(client: OpenAI, there: Route, request: ModelRequest, signal: AbortSignal) {
    const { retries } = this.#options;
    const log = this.#options.log.child({ run_id: request.run_id });
    const body = chatBody(request, there);
    const limits = limitsOf(there.upstream, this.#options.limits);
    for (let tries = 1; ; tries += 1) {
      const exchange = new Exchange({ route: there, signal, limits, newId: this.#options.newId });
      try {
        await exchange.send((connection) =>
          client.post('/chat/completions', { body, signal: connection }).asResponse(),
        );
        const first = await exchange.next();
        // Models that say nothing often say something the next time; one that does so again is believed.
        if (tries > 1 || retries === 0 || !isSilent(first)) return { exchange, first };
        exchange.close();
        log.warn({ upstream: there.upstream.name, model: there.model, try: tries }, 'upstream said nothing');
      } catch (error) {
        exchange.close();
        signal.throwIfAborted();
        const failure = asFailure(there, error);
        const waitMs = this.#waitMs(failure, tries);
        if (tries > retries || waitMs === null) throw failure;
        const { name: upstream } = there.upstream;
        log.warn(
          {
            upstream,
            model: there.model,
            code: failure.code,
            reason: failure.facts.reason,
            try: tries,
            wait_ms: waitMs,
          },
          'upstream retry',
        );
        await sleep(waitMs, undefined, { signal }).catch(() => undefined);
        signal.throwIfAborted();
      }
    }
  }

  /** How long to wait before the next try; null when there should be none. */
  #waitMs(failure: ModelError, tries: number): number | null {
    if (!(failure instanceof UpstreamFailure) || !failure.retryable) return null;
    const askedMs = failure.retryAfterMs;
    if (askedMs !== null) return askedMs <= MAX_ASKED_WAIT_MS ? askedMs : null;
    const fullMs = Math.min(this.#options.backoffMs * 2 ** (tries - 1), MAX_BACKOFF_MS);
    // Jitter, so that the runs an upstream refused together do not come back together.
    return Math.round(fullMs * (0.5 + Math.random() / 2));
  }

  #client({ upstream, isCallersKey }: Route): OpenAI {
    // A caller's own key is used for its run and kept nowhere.
    if (isCallersKey === true) return createClient(upstream);
    const known = this.#clients.get(upstream.name);
    if (known !== undefined) return known;
    const client = createClient(upstream);
    this.#clients.set(upstream.name, client);
    return client;
  }
}

/** The route as a caller with a key of its own takes it: failures then know which key to mask. */
function withKey(there: Route, callersKey: string | null): Route {
  if (callersKey === null) return there;
  return { ...there, upstream: { ...there.upstream, apiKey: callersKey }, isCallersKey: true };
}

/** Whether a turn ends with its first parts, and the model chose to say nothing. */
function isSilent(first: readonly ModelPart[] | null): boolean {
  const [only, more] = first ?? [];
  return only?.type === 'finish' && only.reason === 'stop' && more === undefined;
}

function asFailure(there: Route, error: unknown): ModelError {
  if (error instanceof ModelError) return error;
  const own = ownFailure(error);
  if (own !== null) return own;
  if (error instanceof APIConnectionError) return unreachable(there, error);
  if (isStatusError(error)) return statusFailure(there, error);
  const text = `The upstream '${there.upstream.name}' could not be asked. Check its baseUrl and apiKey.`;
  const facts = { upstream: there.upstream.name, model: there.model };
  return new ModelError('server_error', text, { cause: error, facts });
}

/** Spelt out, because `instanceof` makes every field of this generic class `any`. */
function isStatusError(error: unknown): error is APIError {
  return error instanceof APIError;
}

function statusFailure(there: Route, { status = 500, headers, error, message }: APIError): ModelError {
  // Without JSON the package gives the body's text in the message, after the status.
  const said: unknown = error ?? message.replace(/^\d{3} (?:status code \(no body\))?/, '');
  const retryable = isPassing(status) && headers?.get('x-should-retry') !== 'false';
  return refused(there, { status, said, retry: { retryable, waitMs: askedWaitMs(headers) } });
}

/** What `retry-after-ms` or `retry-after` (seconds or a date) asks for, in whole milliseconds. */
function askedWaitMs(headers: Headers | undefined): number | null {
  const askedMs = waitIn(headers);
  return askedMs === null ? null : Math.min(Math.ceil(askedMs), MAX_TOLD_WAIT_MS);
}

function waitIn(headers: Headers | undefined): number | null {
  const ms = Number.parseFloat(headers?.get('retry-after-ms') ?? '');
  if (ms >= 0) return ms;
  const after = headers?.get('retry-after') ?? '';
  const seconds = Number(after);
  if (after !== '' && seconds >= 0) return seconds * 1000;
  const date = Date.parse(after);
  return Number.isNaN(date) || after.startsWith('-') ? null : Math.max(0, date - Date.now());
}

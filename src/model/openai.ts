/**
 * The model behind any OpenAI-compatible server: which upstream is asked, what, and how often. Requests go through the
 * `openai` package; answers are read from the raw body (docs/decisions/0003-raw-upstream-stream.md).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { APIConnectionError, APIError, type OpenAI } from 'openai';
import type { Logger } from '../log.ts';
import { newId, type NewId } from '../runs/ids.ts';
import { ModelError, type Model, type ModelPart, type ModelRequest } from '../runs/model.ts';
import { createClient, ownFailure } from './client.ts';
import { Exchange } from './exchange.ts';
import { isPassing, refused, unreachable, UpstreamFailure } from './failure.ts';
import { parseJson } from './json.ts';
import { chatBody, hasPicture } from './request.ts';
import type { Limits } from './patience.ts';
import { limitsOf, route, type Route, type Upstream } from './upstreams.ts';

/** An upstream that asks for a longer pause is not asked again, because a worker's slot would be held that long. */
const MAX_ASKED_WAIT_MS = 30_000;
/** The longest wait that a client is told. */
const MAX_TOLD_WAIT_MS = 86_400_000;
/** The longest wait between two tries when the upstream names none. */
const MAX_BACKOFF_MS = 8_000;

export interface OpenAiModelOptions {
  readonly upstreams: readonly Upstream[];
  /** How long to wait for an upstream that has no limits of its own. */
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
    const body = chatBody(request, there);
    const log = this.#options.log.child({ run_id: request.run_id });
    for (let tries = 1; ; tries += 1) {
      const exchange = this.#exchange(there, signal);
      // A model that says nothing often answers at the next try; if it says nothing again, that is its answer.
      const isBelieved = tries > 1 || this.#options.retries === 0;
      const progress: Progress = { isBelieved, isThought: false, isSaid: false };
      const send = async (connection: AbortSignal): Promise<Response> =>
        client.post('/chat/completions', { body, signal: connection }).asResponse();
      try {
        if (yield* passOn(exchange, send, signal, progress)) return;
        const { name: upstream } = there.upstream;
        log.warn({ upstream, model: there.model, try: tries }, 'upstream said nothing');
      } catch (error) {
        signal.throwIfAborted();
        if (progress.isSaid) throw error;
        await this.#rest(there, asFailure(there, error), { tries, log }, signal);
      }
      if (progress.isThought) yield { type: 'again' };
    }
  }

  #exchange(there: Route, signal: AbortSignal): Exchange {
    const limits = limitsOf(there.upstream, this.#options.limits);
    return new Exchange({ route: there, signal, limits, newId: this.#options.newId });
  }

  /**
   * Waits before the next try. No word or call has been passed on so far, so trying again is safe.
   * @throws the failure when there should be no further try.
   */
  async #rest(
    there: Route,
    failure: ModelError,
    { tries, log }: { readonly tries: number; readonly log: Logger },
    signal: AbortSignal,
  ): Promise<void> {
    const { retries } = this.#options;
    const waitMs = this.#waitMs(failure, tries);
    if (tries > retries || waitMs === null) throw failure;
    const { name: upstream } = there.upstream;
    const { code, facts } = failure;
    log.warn(
      { upstream, model: there.model, code, reason: facts.reason, try: tries, wait_ms: waitMs },
      'upstream retry',
    );
    await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    signal.throwIfAborted();
  }

  /** How long to wait before the next try; null when there should be no further try. */
  #waitMs(failure: ModelError, tries: number): number | null {
    if (!(failure instanceof UpstreamFailure) || !failure.retryable) return null;
    const askedMs = failure.retryAfterMs;
    if (askedMs !== null) return askedMs <= MAX_ASKED_WAIT_MS ? askedMs : null;
    const fullMs = Math.min(this.#options.backoffMs * 2 ** (tries - 1), MAX_BACKOFF_MS);
    // Jitter, so that runs refused together do not come back together.
    return Math.round(fullMs * (0.5 + Math.random() / 2));
  }

  #client({ upstream, isCallersKey }: Route): OpenAI {
    // A client with a caller's own key is made for its run only and not kept.
    if (isCallersKey === true) return createClient(upstream);
    const known = this.#clients.get(upstream.name);
    if (known !== undefined) return known;
    const client = createClient(upstream);
    this.#clients.set(upstream.name, client);
    return client;
  }
}

/** The route for a caller with a key of its own; failures then know which key to mask. */
function withKey(there: Route, callersKey: string | null): Route {
  if (callersKey === null) return there;
  return { ...there, upstream: { ...there.upstream, apiKey: callersKey }, isCallersKey: true };
}

/** What one try has passed on. */
interface Progress {
  /** Whether an answer that says nothing is accepted. */
  readonly isBelieved: boolean;
  isThought: boolean;
  isSaid: boolean;
}

/**
 * Asks once and passes on the parts of the answer.
 * @returns false for an answer that says nothing where that is not accepted
 */
async function* passOn(
  exchange: Exchange,
  send: (connection: AbortSignal) => Promise<Response>,
  signal: AbortSignal,
  progress: Progress,
): AsyncGenerator<ModelPart, boolean> {
  try {
    await exchange.send(send);
    for (let parts = await exchange.next(); parts !== null; parts = await exchange.next()) {
      for (const part of parts) {
        signal.throwIfAborted();
        const isSilence = part.type === 'finish' && part.reason === 'stop' && !progress.isSaid;
        if (isSilence && !progress.isBelieved) return false;
        if (part.type === 'thought') progress.isThought = true;
        else progress.isSaid = true;
        yield part;
      }
    }
    return true;
  } finally {
    exchange.close();
  }
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

/** A function of its own, because `instanceof` makes every field of this generic class `any`. */
function isStatusError(error: unknown): error is APIError {
  return error instanceof APIError;
}

function statusFailure(there: Route, { status = 500, headers, error, message }: APIError): ModelError {
  // A body that is not an object with an error in it is put into the message as text, after the status.
  const text = message.replace(/^\d{3} (?:status code \(no body\))?/, '');
  const said: unknown = error ?? parseJson(text) ?? text;
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

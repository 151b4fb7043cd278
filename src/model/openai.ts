/**
 * The model behind any OpenAI-compatible server: which upstream is asked, what, and how often. Requests go through the
 * `openai` package; answers are read from the raw body (docs/decisions/0003-raw-upstream-stream.md).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { APIConnectionError, APIError, type OpenAI } from 'openai';
import type { Logger } from '../log.ts';
import { newId, type NewId } from '../runs/ids.ts';
import { ModelError, type Model, type ModelPart, type ModelRequest } from '../runs/model.ts';
import { estimateRequest } from '../runs/prompt-size.ts';
import { callersRoute, createClient, ownFailure } from './client.ts';
import { ContextSizes } from './context-sizes.ts';
import { Descriptions } from './descriptions.ts';
import { withoutEchoes } from './echoes.ts';
import { Exchange } from './exchange.ts';
import { outwaited, refused, unreachable, UpstreamFailure } from './failure.ts';
import { isPassing } from './faults.ts';
import { Habits, type TellLesson } from './habits.ts';
import { parseJson } from './json.ts';
import { showsPicture } from './request.ts';
import { overflowIn } from './overflow.ts';
import type { Limits } from './patience.ts';
import type { ServerFamilies } from './settings.ts';
import { limitsOf, route, type Route, type Upstream } from './upstreams.ts';
import { Waits } from './waits.ts';

/** The longest wait that a client is told. */
const MAX_TOLD_WAIT_MS = 86_400_000;

export interface OpenAiModelOptions {
  readonly upstreams: readonly Upstream[];
  /** How long to wait for an upstream that has no limits of its own. */
  readonly limits: Limits;
  /** Further tries before the first part of a turn. */
  readonly retries: number;
  /** How long to wait for an upstream that cannot answer yet and has no `waitMs` of its own. */
  readonly waitMs: number;
  readonly log: Logger;
  /** The caller's own upstream key among the sealed secrets of a run, or null. */
  readonly upstreamKey?: (sealed: string) => string | null;
  /** Families of model servers by name, and what is known about them. */
  readonly families?: ServerFamilies;
  /** Keeps what a refusal taught about a model, beside this process. */
  readonly tellLesson?: TellLesson;
  /** The wait before the second try; it doubles with each further one. */
  readonly backoffMs?: number;
  readonly newId?: NewId;
  /** Milliseconds since any fixed time. */
  readonly nowMs?: () => number;
}

export class OpenAiModel implements Model {
  readonly #options: Required<OpenAiModelOptions>;
  readonly #clients = new Map<string, OpenAI>();
  readonly #contexts = new ContextSizes();
  readonly #descriptions: Descriptions;
  readonly #habits: Habits;
  /** The upstreams that have answered this process, whatever they said. */
  readonly #known = new Set<string>();

  constructor(options: OpenAiModelOptions) {
    const nowMs = (): number => performance.now();
    const defaults = { backoffMs: 500, newId, upstreamKey: () => null, nowMs, families: {} };
    this.#options = { ...defaults, tellLesson: () => {}, ...options };
    this.#descriptions = new Descriptions(this.#options);
    const { tellLesson: tell } = this.#options;
    this.#habits = new Habits({ ...this.#options, descriptions: this.#descriptions, tell });
  }

  /** Begins to ask the upstreams what they say of themselves: which servers they are, and what they take. */
  describe(): void {
    this.#descriptions.begin();
  }

  /** Notes that an upstream has answered, so that it is waited for when it is away. */
  noteAnswer(upstream: string): void {
    this.#known.add(upstream);
  }

  /** As configured, or as the server reports, but no more than `most` and than its refusals and counts have told. */
  contextTokens(model: string, backendId: string | null, most: number, sealed: string | null = null): number {
    const there = this.#routeOf(model, backendId, sealed);
    if (there === null) return most;
    return this.#contexts.of(there, Math.min(most, this.#habits.contextTokens(there) ?? Infinity));
  }

  promptCounted(
    { model, backend_id, messages, sealed }: ModelRequest,
    promptTokens: number,
    estimated: number,
  ): void {
    const there = showsPicture(messages) ? null : this.#routeOf(model, backend_id, sealed);
    if (there !== null) this.#contexts.counted(there, promptTokens, estimated);
  }

  /** Where a model is asked; null where nothing serves it, which the run itself finds out. */
  #routeOf(model: string, backendId: string | null, sealed: string | null): Route | null {
    const { upstreams, upstreamKey } = this.#options;
    try {
      return callersRoute(route(upstreams, model, backendId), sealed === null ? null : upstreamKey(sealed));
    } catch (error) {
      if (error instanceof ModelError) return null;
      throw error;
    }
  }

  async *stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelPart, void> {
    signal.throwIfAborted();
    const { upstreams, upstreamKey } = this.#options;
    const asked = route(upstreams, request.model, request.backend_id, showsPicture(request.messages));
    const there = callersRoute(asked, request.sealed === null ? null : upstreamKey(request.sealed));
    const client = this.#client(there);
    await this.#descriptions.ready(there.upstream);
    signal.throwIfAborted();
    const question = this.#habits.ask(request, there);
    const waits = this.#waits(there, request);
    for (;;) {
      // A model that has used its tools may have nothing to add; one that was asked something has to answer.
      const mayBeEmpty = hasStop(request) || (waits.isLast && isAfterTools(request));
      const exchange = this.#exchange(there, mayBeEmpty, signal);
      const progress: Progress = { isThought: false, isSaid: false };
      const send = async (connection: AbortSignal): Promise<Response> => {
        const { body } = question;
        const response = await client.post('/chat/completions', { body, signal: connection }).asResponse();
        this.noteAnswer(there.upstream.name);
        return response;
      };
      try {
        yield* passOn(exchange, send, signal, progress, () => question.answered());
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (progress.isSaid) throw error;
        const failure = this.#noted(there, asFailure(there, error), request, question.body);
        if (!question.learn(failure)) await this.#rest(there, failure, waits, request, signal);
      }
      if (progress.isThought) yield { type: 'again' };
    }
  }

  #exchange(there: Route, mayBeEmpty: boolean, signal: AbortSignal): Exchange {
    const limits = limitsOf(there.upstream, this.#options.limits);
    return new Exchange({ route: there, signal, limits, newId: this.#options.newId, mayBeEmpty });
  }

  #waits({ upstream }: Route, { wait_ms: mostMs = Infinity }: ModelRequest): Waits {
    const { retries, backoffMs, waitMs, nowMs } = this.#options;
    return new Waits({ retries, backoffMs, nowMs, waitMs: Math.min(upstream.waitMs ?? waitMs, mostMs) });
  }

  /** Remembers what a failure tells about its upstream. */
  #noted(there: Route, failure: ModelError, request: ModelRequest, body: object): ModelError {
    if (failure.facts.status !== undefined) this.noteAnswer(there.upstream.name);
    else this.#descriptions.lost(there.upstream);
    const refusal = failure instanceof UpstreamFailure && failure.overflow !== null ? failure.refusal : null;
    const own = refusal === null ? null : withoutEchoes(refusal, body);
    const overflow = own === null ? null : overflowIn(own.status, own.said);
    if (overflow !== null) this.#contexts.learn(there, overflow, estimateRequest(request));
    return failure;
  }

  /**
   * Waits before the next try. No word or call has been passed on so far, so trying again is safe.
   * @throws the failure when there should be no further try.
   */
  async #rest(
    there: Route,
    failure: ModelError,
    waits: Waits,
    { run_id }: ModelRequest,
    signal: AbortSignal,
  ): Promise<void> {
    if (!(failure instanceof UpstreamFailure)) throw failure;
    const { name: upstream } = there.upstream;
    const isKnown = this.#known.has(upstream);
    const wait = waits.after(failure, isKnown);
    if (wait === null) throw waits.isOver ? outwaited(there, failure, waits.waitedMs, isKnown) : failure;
    const { code, facts, absence } = failure;
    if (wait.isTold) {
      const fields = { run_id, upstream, model: there.model, code, reason: facts.reason };
      const waited = absence === null ? {} : { waited_ms: Math.round(waits.waitedMs) };
      this.#options.log.warn(
        { ...fields, ...waited, try: waits.tries, wait_ms: wait.waitMs },
        absence === null ? 'upstream retry' : 'an upstream that cannot answer yet is waited for',
      );
    }
    await sleep(wait.waitMs, undefined, { signal }).catch(() => undefined);
    signal.throwIfAborted();
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

/** Whether the request names words at which the answer stops: it may then stop before the first one. */
function hasStop({ passed_on: { stop } }: ModelRequest): boolean {
  return stop != null && !(Array.isArray(stop) && stop.length === 0);
}

function isAfterTools({ messages }: ModelRequest): boolean {
  return messages.at(-1)?.role === 'tool';
}

/** What one try has passed on. */
interface Progress {
  isThought: boolean;
  isSaid: boolean;
}

/** Asks once and passes on the parts of the answer. Calls `answered` before the first. */
async function* passOn(
  exchange: Exchange,
  send: (connection: AbortSignal) => Promise<Response>,
  signal: AbortSignal,
  progress: Progress,
  answered: () => void,
): AsyncGenerator<ModelPart, void> {
  try {
    await exchange.send(send);
    for (let parts = await exchange.next(); parts !== null; parts = await exchange.next()) {
      for (const part of parts) {
        signal.throwIfAborted();
        if (!progress.isThought && !progress.isSaid) answered();
        if (part.type === 'thought') progress.isThought = true;
        else progress.isSaid = true;
        yield part;
      }
    }
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
  const isForbidden = headers?.get('x-should-retry') === 'false';
  const retry = { retryable: isPassing(status) && !isForbidden, waitMs: askedWaitMs(headers), isForbidden };
  return refused(there, { status, said, retry });
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

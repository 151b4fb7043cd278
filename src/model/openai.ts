/** The model behind any OpenAI-compatible server: which upstream is asked, what, and how often. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../log.ts';
import { newId, type NewId } from '../runs/ids.ts';
import { ModelError, type Model, type ModelPart, type ModelRequest, type TakePart } from '../runs/model.ts';
import type { ModelTraces } from '../runs/trace/export.ts';
import { estimateRequest } from '../runs/prompt-size.ts';
import { callersRoute, ChatClient } from './client.ts';
import { ContextSizes } from './context-sizes.ts';
import { Descriptions } from './descriptions.ts';
import { withoutEchoes } from './echoes.ts';
import { Exchange } from './exchange.ts';
import { outwaited, UpstreamFailure } from './failure.ts';
import { Habits, type TellLesson } from './habits.ts';
import { overflowIn } from './overflow.ts';
import type { Limits } from './patience.ts';
import { unaskable } from './refusal.ts';
import { showsPicture } from './request.ts';
import type { ServerFamilies } from './settings.ts';
import { limitsOf, route, type Route, type Upstream } from './upstreams.ts';
import { Waits } from './waits.ts';
import { WatchedRequest, type ModelMeasures } from './watched.ts';

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
  /** Takes what is measured of requests; null where nobody wants it. */
  readonly measures?: ModelMeasures | null;
  /** Hears of requests; null where nobody wants to. */
  readonly traces?: ModelTraces | null;
  /** The wait before the second try; it doubles with each further one. */
  readonly backoffMs?: number;
  readonly newId?: NewId;
  /** Milliseconds since any fixed time. */
  readonly nowMs?: () => number;
}

export class OpenAiModel implements Model {
  readonly #options: Required<OpenAiModelOptions>;
  readonly #clients = new Map<string, ChatClient>();
  readonly #contexts = new ContextSizes();
  readonly #descriptions: Descriptions;
  readonly #habits: Habits;
  /** The upstreams that have answered this process, whatever they said. */
  readonly #known = new Set<string>();

  constructor(options: OpenAiModelOptions) {
    const nowMs = (): number => performance.now();
    const defaults = {
      backoffMs: 500,
      newId,
      upstreamKey: () => null,
      nowMs,
      families: {},
      measures: null,
      traces: null,
    };
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

  async *stream(
    request: ModelRequest,
    signal: AbortSignal,
    take: TakePart = () => false,
  ): AsyncGenerator<ModelPart, void> {
    signal.throwIfAborted();
    const { upstreams, upstreamKey } = this.#options;
    const asked = route(upstreams, request.model, request.backend_id, showsPicture(request.messages));
    const there = callersRoute(asked, request.sealed === null ? null : upstreamKey(request.sealed));
    await this.#descriptions.ready(there.upstream);
    signal.throwIfAborted();
    const question = this.#habits.ask(request, there);
    const waits = this.#waits(there, request);
    for (let isAgain = false; ; isAgain = true) {
      // A model that has used its tools may have nothing to add; one that was asked something has to answer.
      const mayBeEmpty = hasStop(request) || (waits.isLast && isAfterTools(request));
      let isThought = false;
      let isSaid = false;
      const mayTake = (part: ModelPart): boolean =>
        (isSaid || (isThought && part.type === 'thought')) && take(part);
      const exchange = this.#exchange(there, mayBeEmpty, signal, mayTake);
      const watched = new WatchedRequest(request, there, this.#options, isAgain);
      try {
        await exchange.send(() => this.#client(there).ask(question.body));
        this.noteAnswer(there.upstream.name);
        for (let part = await exchange.next(); part !== null; part = await exchange.next()) {
          signal.throwIfAborted();
          watched.hear(part);
          if (!isThought && !isSaid) question.answered();
          isThought ||= part.type === 'thought';
          isSaid ||= part.type !== 'thought';
          yield part;
        }
        watched.answered();
        return;
      } catch (error) {
        // Now, because the next try may come minutes later.
        exchange.close();
        signal.throwIfAborted();
        watched.failed(error);
        if (isSaid) throw error;
        const asked = error instanceof ModelError ? error : unaskable(there, error);
        const failure = this.#noted(there, asked, request, question.body);
        if (!question.learn(failure)) await this.#rest(there, failure, waits, request, signal);
      } finally {
        watched.cancelled();
        exchange.close();
      }
      if (isThought) yield { type: 'again' };
    }
  }

  #exchange(there: Route, mayBeEmpty: boolean, signal: AbortSignal, take: TakePart): Exchange {
    const limits = limitsOf(there.upstream, this.#options.limits);
    return new Exchange({ route: there, signal, limits, newId: this.#options.newId, mayBeEmpty, take });
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

  #client({ upstream, isCallersKey }: Route): ChatClient {
    // A client with a caller's own key is made for its run only and not kept.
    if (isCallersKey === true) return new ChatClient(upstream);
    const known = this.#clients.get(upstream.name);
    if (known !== undefined) return known;
    const client = new ChatClient(upstream);
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

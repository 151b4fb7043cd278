/**
 * Asks a model server for embeddings: the same servers, keys and patience as for chats. Texts go in groups, one after the
 * other, because more at once would only wait at the server.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../log.ts';
import type { Embedder } from '../runs/embedder.ts';
import { ModelError } from '../runs/model.ts';
import { isRecord } from '../runs/record.ts';
import { estimateTokens } from '../runs/tokens.ts';
import { addressOf, headersFor } from './client.ts';
import { nonsense, overdue, tooLarge, UpstreamFailure } from './failure.ts';
import { parseJson } from './json.ts';
import type { Limits } from './patience.ts';
import { notAnswered, requireGood } from './refusal.ts';
import { UpstreamAnswer } from './upstream-answer.ts';
import { limitsOf, route, type Route, type Upstream } from './upstreams.ts';
import { Waiting } from './waiting.ts';
import { Waits } from './waits.ts';

/** Servers take some thousands; few make a smaller failure cheaper and cost no speed. */
const GROUP = 64;
/** 64 vectors of 4096 numbers as text, four times over. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;
/** How often texts are cut that are longer than the model takes. */
const MAX_CUTS = 4;
/** A cut text is a little shorter than asked, because its tokens are an estimate. */
const SAFE_SHARE = 0.85;

export interface EmbedderOptions {
  readonly upstreams: readonly Upstream[];
  readonly model: string;
  /** Null for as many as the model makes. */
  readonly dimensions: number | null;
  /** How long to wait for an upstream that has no limits of its own. */
  readonly limits: Limits;
  /** Further tries after failures that pass. */
  readonly retries: number;
  /** How long to wait for an upstream that cannot answer yet and has no `waitMs` of its own. */
  readonly waitMs: number;
  readonly log: Logger;
  /** The wait before the second try; it doubles with each further one. */
  readonly backoffMs?: number;
}

export class UpstreamEmbedder implements Embedder {
  readonly #options: EmbedderOptions;
  #isKnown = false;

  constructor(options: EmbedderOptions) {
    this.#options = options;
  }

  get space(): string {
    const { model, dimensions } = this.#options;
    return dimensions === null ? model : `${model}/${dimensions}`;
  }

  async embed(texts: readonly string[], signal: AbortSignal): Promise<readonly Float32Array[]> {
    const { upstreams, model } = this.#options;
    const there = route(upstreams, model, null);
    const vectors: Float32Array[] = [];
    for (let start = 0; start < texts.length; start += GROUP)
      vectors.push(...(await this.#group(there, texts.slice(start, start + GROUP), signal)));
    if (vectors.some(({ length }) => length !== vectors[0]?.length))
      throw nonsense(there, 'vectors of one length', '');
    return vectors;
  }

  async #group(
    there: Route,
    given: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly Float32Array[]> {
    const { retries, waitMs, backoffMs = 500 } = this.#options;
    const nowMs = (): number => performance.now();
    const waits = new Waits({ retries, backoffMs, nowMs, waitMs: there.upstream.waitMs ?? waitMs });
    let texts = given;
    for (let cuts = 0; ;) {
      signal.throwIfAborted();
      try {
        const vectors = await this.#ask(there, texts, signal);
        this.#isKnown = true;
        return vectors;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof UpstreamFailure)) throw error;
        this.#isKnown ||= error.facts.status !== undefined;
        if (error.overflow !== null && cuts < MAX_CUTS) {
          cuts += 1;
          texts = shortened(texts, error.overflow.limitTokens);
        } else await this.#rest(there, error, waits, signal);
      }
    }
  }

  /** @throws the failure when there should be no further try. */
  async #rest(there: Route, failure: UpstreamFailure, waits: Waits, signal: AbortSignal): Promise<void> {
    const wait = waits.after(failure, this.#isKnown);
    if (wait === null) throw failure;
    if (wait.isTold) {
      const { code, facts } = failure;
      const fields = { upstream: there.upstream.name, model: there.model, code, reason: facts.reason };
      this.#options.log.warn(
        { ...fields, try: waits.tries, wait_ms: wait.waitMs },
        'embeddings are asked for again',
      );
    }
    await sleep(wait.waitMs, undefined, { signal }).catch(() => undefined);
  }

  async #ask(there: Route, texts: readonly string[], signal: AbortSignal): Promise<readonly Float32Array[]> {
    const { dimensions } = this.#options;
    const { upstream, model } = there;
    const limits = limitsOf(upstream, this.#options.limits);
    const body = {
      model,
      input: texts,
      encoding_format: 'float',
      ...(dimensions !== null && { dimensions }),
    };
    const answer = new UpstreamAnswer({
      address: new URL(addressOf(upstream, '/embeddings')),
      method: 'POST',
      headers: { ...headersFor(upstream), accept: 'application/json', 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const onAbort = (): void => answer.abort();
    signal.addEventListener('abort', onAbort, { once: true });
    const waiting = new Waiting(limits, onAbort);
    waiting.resume();
    try {
      await requireGood(there, answer);
      const text = await answer.text(MAX_ANSWER_BYTES);
      if (text.length >= MAX_ANSWER_BYTES) throw tooLarge(there, `more than ${MAX_ANSWER_BYTES} bytes`);
      return vectorsIn(there, text, texts.length, dimensions);
    } catch (error) {
      if (waiting.over !== null) throw overdue(there, waiting.over, limits[waiting.over]);
      throw error instanceof ModelError ? error : notAnswered(there, error);
    } finally {
      waiting.stop();
      signal.removeEventListener('abort', onAbort);
      answer.abort();
    }
  }
}

/** @throws {UpstreamFailure} for anything but so many vectors. */
function vectorsIn(
  there: Route,
  text: string,
  count: number,
  dimensions: number | null,
): readonly Float32Array[] {
  const said = parseJson(text);
  const data: unknown = isRecord(said) ? said['data'] : undefined;
  const entries: readonly unknown[] = Array.isArray(data) ? data : [];
  const vectors: (Float32Array | undefined)[] = Array.from({ length: count });
  for (const [place, entry] of entries.entries()) {
    const { index = place, embedding } = isRecord(entry) ? entry : {};
    if (typeof index === 'number' && index in vectors) vectors[index] = vectorOf(embedding);
  }
  const found = vectors.filter((vector) => vector !== undefined);
  if (entries.length !== count || found.length !== count) throw nonsense(there, `${count} embeddings`, text);
  const other = found.find(({ length }) => length !== (dimensions ?? length));
  if (other === undefined) return found;
  throw nonsense(
    there,
    `an embedding of ${dimensions} numbers, as EMBEDDING_DIMENSIONS says, but of ${other.length}`,
    '',
  );
}

function vectorOf(said: unknown): Float32Array | undefined {
  if (!Array.isArray(said) || said.length === 0) return undefined;
  const numbers = said.map((number) => (typeof number === 'number' ? number : Number.NaN));
  return numbers.every((number) => Number.isFinite(number)) ? Float32Array.from(numbers) : undefined;
}

/** The texts, none longer than the model takes; where it did not say what that is, the long ones are halved. */
function shortened(texts: readonly string[], limitTokens: number | null): readonly string[] {
  const sizes = texts.map(estimateTokens);
  const most =
    Math.min(limitTokens ?? Infinity, Math.max(...sizes)) * (limitTokens === null ? 0.5 : SAFE_SHARE);
  return texts.map((text, index) => {
    const share = most / Math.max(1, sizes[index] ?? 1);
    return share >= 1 ? text : text.slice(0, Math.max(1, Math.floor(text.length * share))).toWellFormed();
  });
}

/** What the configuration says about a model of embeddings. */
interface EmbeddingSettings {
  readonly upstreams: readonly Upstream[];
  readonly embeddingModel?: string | undefined;
  readonly embeddingDimensions?: number | undefined;
  readonly upstreamIdleMs: number;
  readonly upstreamStallMs: number;
  readonly upstreamThinkMs: number;
  readonly upstreamTotalMs: number;
  readonly upstreamRetries: number;
  readonly upstreamWaitMs: number;
}

/** The model of embeddings that the operator has set; null where there is none. */
export function embedderOf(settings: EmbeddingSettings, log: Logger): Embedder | null {
  const { embeddingModel: model, embeddingDimensions: dimensions = null, upstreams } = settings;
  if (model === undefined) return null;
  return new UpstreamEmbedder({
    upstreams,
    model,
    dimensions,
    limits: {
      idleMs: settings.upstreamIdleMs,
      stallMs: settings.upstreamStallMs,
      thinkMs: settings.upstreamThinkMs,
      totalMs: settings.upstreamTotalMs,
    },
    retries: settings.upstreamRetries,
    waitMs: settings.upstreamWaitMs,
    log,
  });
}

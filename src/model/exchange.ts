/**
 * One request to an upstream and its answer, read from the raw body. Owns the connection and the limits on size; closing
 * it closes the socket. Never retries.
 *
 *   X1  whatever happens, the caller's abort wins: then its reason is thrown, not a ModelError
 *   X2  how the body is cut into packets does not change the parts
 *   X3  once the upstream has said how its answer ends, a bad end of the connection does no harm
 */
import { createParser, type EventSourceMessage, type EventSourceParser } from 'eventsource-parser';
import type { ModelPart, TakePart } from '../runs/model.ts';
import type { NewId } from '../runs/ids.ts';
import type { UpstreamAnswer } from './upstream-answer.ts';
import { CallError } from './calls.ts';
import { ErrorLines } from './error-lines.ts';
import {
  brokeOff,
  gaveUp,
  nonsense,
  overdue,
  refusedInStream,
  tooLarge,
  unsaid,
  UpstreamFailure,
} from './failure.ts';
import { isRecord } from '../runs/record.ts';
import { parseJson } from './json.ts';
import { isThinking, Normalizer } from './normalize.ts';
import { Patience, type Limits } from './patience.ts';
import { PlainChunks } from './plain-chunks.ts';
import { notAnswered, requireGood } from './refusal.ts';
import { errorIn } from './said-errors.ts';
import type { Route } from './upstreams.ts';

const MEGABYTE = 1024 * 1024;
/** One event is a token or a whole call's arguments. */
const MAX_EVENT_CHARS = MEGABYTE;
/** A whole answer; the longest that models give is well below 1 MB. */
const MAX_ANSWER_BYTES = 16 * MEGABYTE;
/** How much of an event stream is kept: enough to quote from. */
const KEPT_CHARS = 200;
/** Usage follows the finish reason at once; a server that then keeps the connection open must not hold up the run. */
const TAIL_MS = 5_000;
/** After [DONE] the body's end is awaited this long, because only a body read to its end frees the connection for reuse. */
const DRAIN_MS = 1_000;
const DONE = '[DONE]';
/** The names of events that are no part of an answer. */
const ERROR_EVENT = /error|exception|fail/i;

/**
 * How far the answer has come. When the upstream has said that it is `done`, the end of its body, which frees the
 * connection, is still to come.
 */
type Phase = 'answer' | 'reading' | 'done' | 'ended';

export interface ExchangeOptions {
  readonly route: Route;
  /** The caller's; aborting it closes the connection at once. */
  readonly signal: AbortSignal;
  /** How long it is waited for. */
  readonly limits: Limits;
  readonly newId: NewId;
  /** Whether an answer that merely stops may be empty. */
  readonly mayBeEmpty?: boolean;
  /** Is offered the parts that come while {@link Exchange.next} waits for the first one; it gets none that this takes. */
  readonly take?: TakePart;
}

export class Exchange {
  readonly #route: Route;
  readonly #signal: AbortSignal;
  readonly #limits: Limits;
  readonly #mayBeEmpty: boolean;
  readonly #passOn: TakePart;
  readonly #patience: Patience;
  readonly #normalizer: Normalizer;
  readonly #onAbort = () => this.#answer?.abort();
  readonly #decoder = new TextDecoder();
  readonly #errorLines = new ErrorLines();
  readonly #plainChunks = new PlainChunks();
  readonly #onWords = (words: string) => this.#words(words);
  readonly #onPacket = (packet: Buffer) => this.#arrived(packet);
  readonly #parser: EventSourceParser;
  #answer: UpstreamAnswer | null = null;
  #phase: Phase = 'answer';
  /** How the answer ended: with its finish part, or with a failure after the parts given last; null while it goes on. */
  #outcome: 'finished' | Error | null = null;
  /** What kind of body it is; its first character decides. */
  #form: 'unknown' | 'events' | 'json' = 'unknown';
  /** The part of the body that must be kept: all of it when it is JSON, else its beginning. */
  #text = '';
  #bytes = 0;
  #events = 0;
  /** The upstream has sent [DONE], perhaps before the end of a packet. */
  #saidDone = false;
  /** Whether the answer had a word or a call so far. */
  #isSaid = false;
  /** White space before the first word or call: an answer that has nothing else is none. */
  #blank: ModelPart[] = [];
  /** What may be an error: words without choices. They are one if the answer does not come to an end. */
  #complaint: unknown = null;
  /** The last chunk that was parsed, and its JSON. */
  #last: { readonly data: string; readonly chunk: unknown } | null = null;
  /** Parts that have come but were not returned yet. */
  readonly #parts: ModelPart[] = [];
  /** What was wrong with bytes that came while they were waited for. */
  #wrong: { readonly error: unknown } | null = null;

  constructor({
    route,
    signal,
    limits,
    newId,
    mayBeEmpty = false,
    take: passOn = () => false,
  }: ExchangeOptions) {
    this.#route = route;
    this.#signal = signal;
    this.#limits = limits;
    this.#mayBeEmpty = mayBeEmpty;
    this.#passOn = passOn;
    this.#patience = new Patience(limits, () => this.#answer?.abort());
    this.#normalizer = new Normalizer(newId, route.upstream.thinkTags);
    this.#parser = createParser({
      maxBufferSize: MAX_EVENT_CHARS,
      onEvent: (event) => this.#event(event),
      onError: (error) => {
        if (error.type === 'max-buffer-size-exceeded') throw this.#eventTooLarge();
      },
    });
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /**
   * Sends the request and waits for the beginning of a good answer.
   * @throws {UpstreamFailure} when the upstream refuses, takes too long, or cannot be reached; and what `ask` throws.
   */
  async send(ask: () => UpstreamAnswer): Promise<void> {
    const answer = ask();
    this.#answer = answer;
    try {
      await this.#patience.wait(async () => requireGood(this.#route, answer));
    } catch (error) {
      this.#signal.throwIfAborted(); // X1
      throw this.#overdue() ?? (error instanceof UpstreamFailure ? error : notAnswered(this.#route, error));
    }
    this.#phase = 'reading';
  }

  /**
   * The next part; null after the finish part.
   * @throws {UpstreamFailure} when the answer breaks off, does not come, exceeds its limits or cannot be read.
   */
  async next(): Promise<ModelPart | null> {
    try {
      while (this.#parts.length === 0 && this.#outcome === null) await this.#read();
    } catch (error) {
      this.#signal.throwIfAborted(); // X1
      const failure = error instanceof CallError ? nonsense(this.#route, error.message, this.#text) : error;
      if (this.#parts.length === 0 || !(failure instanceof Error)) throw failure;
      this.#outcome = failure; // X2: what came before it in the same packet is good
    }
    const part = this.#parts.shift();
    if (part === undefined && this.#outcome instanceof Error) throw this.#outcome;
    return part ?? null;
  }

  /** Releases the connection: it is reused when the answer came to its end, and closed at once otherwise. */
  close(): void {
    this.#patience.stop();
    this.#signal.removeEventListener('abort', this.#onAbort);
    const answer = this.#answer;
    this.#answer = null;
    if (this.#phase === 'done' && answer !== null && !this.#signal.aborted) void drain(answer);
    else answer?.abort();
  }

  async #read(): Promise<void> {
    const answer = this.#answer;
    if (answer === null || this.#phase !== 'reading') throw new Error('there is nothing to read now');
    let packet;
    try {
      // Awaited in place, which costs less than handing a promise on.
      packet = await this.#patience.wait(async () => await answer.read(this.#onPacket));
    } catch (error) {
      this.#signal.throwIfAborted();
      if (this.#normalizer.reason !== null) return this.#end(); // X3
      throw this.#overdue() ?? brokeOff(this.#route, error);
    }
    if (packet === null) {
      this.#phase = 'ended';
      return this.#bodyEnded();
    }
    if (this.#wrong !== null) throw this.#wrong.error;
    this.#packet(packet);
    if (this.#saidDone) {
      this.#phase = 'done';
      this.#end();
    }
  }

  /** A packet comes while it is waited for. What it holds is passed on at once, without a promise for each token. */
  #arrived(packet: Buffer): boolean {
    return this.#patience.between(() => {
      try {
        this.#packet(packet);
        while (this.#parts[0] !== undefined && this.#passOn(this.#parts[0])) this.#parts.shift();
      } catch (error) {
        this.#wrong = { error };
      }
      return this.#parts.length === 0 && this.#wrong === null && !this.#saidDone;
    });
  }

  #packet(packet: Buffer): void {
    this.#bytes += packet.length;
    if (this.#bytes > MAX_ANSWER_BYTES) {
      throw tooLarge(this.#route, `an answer of more than ${MAX_ANSWER_BYTES / MEGABYTE} MB`);
    }
    const isQuotable = this.#text.length >= KEPT_CHARS;
    const read = isQuotable ? this.#plainChunks.read(packet, this.#onWords) : 0;
    if (read === packet.length) return;
    const rest = packet.subarray(read);
    this.#last = null;
    this.#feed(this.#decoder.decode(rest, { stream: true }));
    this.#plainChunks.parsed(rest, this.#last);
  }

  #feed(text: string): void {
    if (this.#form === 'events') {
      if (this.#text.length < KEPT_CHARS) this.#text = (this.#text + text).slice(0, KEPT_CHARS);
      return this.#parser.feed(this.#errorLines.push(text));
    }
    this.#text += text;
    if (this.#form === 'unknown') this.#recognise();
  }

  /** Content types cannot be trusted here: servers label JSON as events and events as plain text. */
  #recognise(): void {
    // Kept trimmed: a body of blanks in small packets would cost the square of its length.
    this.#text = this.#text.trimStart();
    const first = this.#text.charAt(0);
    if (first === '') return;
    if (first === '<') throw nonsense(this.#route, 'an event stream', this.#text);
    this.#form = first === '{' || first === '[' ? 'json' : 'events';
    if (this.#form === 'events') {
      const text = this.#text;
      this.#text = text.slice(0, KEPT_CHARS);
      this.#parser.feed(this.#errorLines.push(text));
    }
  }

  #event({ event, data }: EventSourceMessage): void {
    if (this.#saidDone) return;
    this.#events += 1;
    if (data.length > MAX_EVENT_CHARS) throw this.#eventTooLarge();
    const text = data.trim();
    if (text === '') return;
    if (text === DONE) {
      this.#saidDone = true;
      return;
    }
    const chunk = parseJson(text);
    if (ERROR_EVENT.test(event ?? '')) throw refusedInStream(this.#route, errorIn(chunk) ?? chunk ?? text);
    if (chunk === undefined && this.#phase === 'ended') throw brokeOff(this.#route);
    this.#chunk(chunk, text);
  }

  #chunk(chunk: unknown, text: string): void {
    const error = errorIn(chunk);
    if (error !== null) throw refusedInStream(this.#route, error);
    if (!isRecord(chunk)) throw nonsense(this.#route, 'a chunk of a chat completion', text);
    // Some servers name what went wrong in an event that says nothing else.
    if (chunk['choices'] === undefined) this.#complaint ??= errorIn(chunk, true);
    const parts = this.#normalizer.push(chunk);
    this.#heard(parts, parts.length === 0 && isThinking(chunk));
    this.#last = { data: text, chunk };
  }

  /** A chunk that need not be parsed. */
  #words(words: string): void {
    this.#events += 1;
    this.#heard(this.#normalizer.pushWords(words), false);
  }

  #heard(parts: readonly ModelPart[], isThinkingOnly: boolean): void {
    if (this.#take(parts)) this.#patience.word();
    else if (parts.length > 0 || isThinkingOnly) this.#patience.thought();
    if (this.#normalizer.reason !== null) this.#patience.hurry(TAIL_MS);
  }

  /** @returns whether the parts include a word or a call */
  #take(parts: readonly ModelPart[]): boolean {
    let isSaid = false;
    for (const part of parts) {
      if (!this.#isSaid && part.type === 'text' && !isWord(part)) {
        this.#blank.push(part);
        continue;
      }
      isSaid ||= part.type !== 'thought' && part.type !== 'finish';
      if (isSaid && !this.#isSaid) this.#parts.push(...this.#blankBefore(part));
      this.#isSaid ||= isSaid;
      this.#parts.push(part);
    }
    return isSaid;
  }

  /** The white space that was held back. Calls need none: models put an empty line before them. */
  #blankBefore({ type }: ModelPart): readonly ModelPart[] {
    const blank = this.#blank.splice(0);
    return type === 'text' ? blank : [];
  }

  #bodyEnded(): void {
    this.#feed(this.#decoder.decode());
    if (this.#form === 'json') {
      this.#completion();
    } else {
      // Some servers forget the blank line that ends the last event.
      this.#parser.feed(this.#errorLines.push('\n\n'));
      if (this.#events === 0 && !/^\s*(?:$|:|(?:data|event|id|retry)\b)/.test(this.#text)) {
        throw nonsense(this.#route, 'an event stream', this.#text);
      }
      if (this.#normalizer.reason === null && !this.#saidDone) throw brokeOff(this.#route);
    }
    this.#end();
  }

  /** A server that does not stream answers with the whole completion. */
  #completion(): void {
    const completion = parseJson(this.#text);
    const error = errorIn(completion, true);
    if (error !== null) throw refusedInStream(this.#route, error);
    const choices = isRecord(completion) ? completion['choices'] : undefined;
    // Empty lists, or null for one, are an answer without a word.
    const isCompletion = Array.isArray(choices) || choices === null;
    if (!isRecord(completion) || !isCompletion) {
      throw nonsense(this.#route, 'a chat completion', this.#text);
    }
    this.#take(this.#normalizer.push(completion));
  }

  #end(): void {
    const { reason, saidReason } = this.#normalizer;
    if (reason === 'error') throw gaveUp(this.#route, saidReason ?? reason);
    const last = this.#normalizer.end();
    // Calls and text that were held back come with the end.
    const isSaid = this.#isSaid || last.some((part) => part.type === 'call' || isWord(part));
    const isExplained = this.#normalizer.isExplained || (this.#mayBeEmpty && reason === 'stop');
    const isEnded = reason !== null && (isSaid || isExplained);
    if (this.#complaint !== null && !isEnded) throw refusedInStream(this.#route, this.#complaint);
    if (!isSaid && !isExplained) throw unsaid(this.#route, saidReason, this.#text);
    this.#take(last.slice(0, -1));
    this.#parts.push(...this.#blank.splice(0), ...last.slice(-1));
    this.#outcome = 'finished';
  }

  #eventTooLarge(): Error {
    return tooLarge(this.#route, `an event of more than ${MAX_EVENT_CHARS / MEGABYTE} MB`);
  }

  /** What to say where the upstream has exceeded a limit; null while it has not. */
  #overdue(): UpstreamFailure | null {
    const { over } = this.#patience;
    return over === null ? null : overdue(this.#route, over, this.#limits[over]);
  }
}

function isWord(part: ModelPart): boolean {
  return part.type === 'text' && part.text.trim() !== '';
}

/** Reads the end of the body. What comes after [DONE] means nothing: a server that says more does not end its answer. */
async function drain(answer: UpstreamAnswer): Promise<void> {
  const clock = setTimeout(() => answer.abort(), DRAIN_MS);
  try {
    if ((await answer.read()) !== null) answer.abort();
  } catch {
    // The answer was complete; how its connection ends does not matter.
  } finally {
    clearTimeout(clock);
  }
}

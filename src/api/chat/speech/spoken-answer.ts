/**
 * The frames of an answer with sound. The run says text, as for everybody; here it is cut into sentences, and each is told as
 * its transcript and then its sound, piece by piece, in the order of the text. While one sentence plays, the sound of the next
 * one is fetched, and of no more. Nothing of it is stored anywhere.
 */
import { ApiError } from '../../../errors.ts';
import type { Logger } from '../../../log.ts';
import { moreLogprobs, type Logprobs } from '../../../runs/logprobs.ts';
import type { Annotation } from '../../../runs/thread.ts';
import type { Passing } from '../../../store/passing.ts';
import type { Audible } from '../../../turns/turn-events.ts';
import type { ChatEncoder, ChatReply } from '../frames.ts';
import { SoundPieces } from './pieces.ts';
import { SentenceCutter, spokenPart } from './sentences.ts';
import { Sound } from './sound.ts';

/** The sounds that are fetched at a time: the one that plays, and the next. */
const FETCHED = 2;
/** What looks like a sentence is one when nothing has followed for this long: the model may be at work with a tool. */
const PAUSE_MS = 250;
/** Text that is read ahead of the sound, in characters: an hour of speech. The log of a run is not kept for that long. */
const READ_AHEAD = 64 * 1024;

export interface SpokenAnswerOptions {
  readonly reply: ChatReply;
  readonly encoder: ChatEncoder;
  /** Samples a second. */
  readonly sampleRate: number;
  /** The id of the sound. */
  readonly audioId: string;
  /** Makes the sound of a text. @throws {ApiError} for what the client is told. */
  readonly say: (text: string, signal: AbortSignal) => AsyncIterable<Uint8Array>;
  /** Aborted when the client has gone, or was answered. */
  readonly gone: AbortSignal;
  readonly log: Logger;
}

interface Sentence {
  readonly type: 'sentence';
  readonly transcript: string;
  readonly annotations: readonly Annotation[];
  readonly logprobs: Logprobs | undefined;
  /** Null as long as it is not fetched. */
  sound: Sound | null;
}

/** What is to be told, in order: sentences, and events that have a frame of their own. */
type Tellable = Sentence | { readonly type: 'event'; readonly event: Audible };

type SaidText = Extract<Audible, { readonly type: 'text' }>;

export class SpokenAnswer implements AsyncIterableIterator<string, void> {
  readonly #options: SpokenAnswerOptions;
  readonly #events: AsyncIterator<readonly Audible[]>;
  readonly #told: AsyncGenerator<string, void>;
  readonly #cutter = new SentenceCutter();
  readonly #items: Tellable[] = [];
  /** What belongs to the sentence that is not whole yet. */
  #annotations: Annotation[] = [];
  #logprobs: Logprobs | undefined;
  /** The frames that come first, as long as nobody has taken them. */
  #first: Promise<IteratorResult<string, void>> | null = null;
  /** Whether there was a word that is not the filler's, and a sound. */
  #isSaid = false;
  #isHeard = false;
  /** Whether a failure may still become the HTTP status. */
  #isHeld = true;
  /** Whether the sound has failed: the rest is told as its transcript. */
  #isMute = false;
  /** Whether no more text comes, and whether none is wanted. */
  #isOver = false;
  #isStopped = false;
  #pause: NodeJS.Timeout | undefined;
  #failure: { readonly error: unknown } | null = null;
  #change = Promise.withResolvers<void>();

  constructor(events: Passing<readonly Audible[]>, options: SpokenAnswerOptions) {
    this.#options = options;
    this.#events = events[Symbol.asyncIterator]();
    this.#told = this.#tell();
    void this.#read();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * Waits until the first frame is there, or for `ms`. Where speech fails before that, nobody has heard anything yet.
   * @throws {ApiError} for the client: it can still be the HTTP status.
   */
  async begun(ms: number): Promise<void> {
    this.#first = this.#told.next();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    try {
      await Promise.race([this.#first, late]);
      this.#isHeld = false;
    } finally {
      clearTimeout(timer);
    }
  }

  async next(): Promise<IteratorResult<string, void>> {
    const first = this.#first;
    this.#first = null;
    return first ?? this.#told.next();
  }

  /** Closes the connections to the speech server at once. */
  async return(): Promise<IteratorResult<string, void>> {
    this.#stop();
    return this.#told.return();
  }

  /** Reads the text, ahead of its sound. */
  async #read(): Promise<void> {
    try {
      for (;;) {
        const next = await this.#events.next();
        clearTimeout(this.#pause);
        if (next.done === true || this.#isOver) return;
        for (const event of next.value) this.#hear(event);
        if (this.#cutter.looksWhole) this.#pause = setTimeout(() => this.#cutRest(), PAUSE_MS);
        this.#fetch();
        this.#changed();
        while (this.#ahead > READ_AHEAD && !this.#isOver) await this.#change.promise;
      }
    } catch (error) {
      this.#failure = { error };
    } finally {
      clearTimeout(this.#pause);
      this.#isOver = true;
      this.#cutRest();
    }
  }

  /** What is left is a sentence. */
  #cutRest(): void {
    this.#items.push(...this.#cut(this.#cutter.end()));
    this.#fetch();
    this.#changed();
  }

  /** How much text waits for its sound, in characters. */
  get #ahead(): number {
    return this.#items.reduce(
      (sum, item) => sum + (item.type === 'sentence' ? item.transcript.length : 0),
      this.#cutter.length,
    );
  }

  #hear(event: Audible): void {
    const { apology } = this.#options.reply;
    switch (event.type) {
      case 'text':
        this.#hearText(event);
        return;
      case 'thought':
      case 'thought.dropped':
        this.#items.push({ type: 'event', event });
        return;
      case 'dropped':
        // What was not begun is not said at all.
        this.#cutter.end();
        for (const item of this.#items.splice(1)) if (item.type === 'sentence') item.sound?.stop();
        break;
      case 'calls':
      case 'end':
      case 'failed':
        this.#items.push(...this.#cut(this.#cutter.end()));
    }
    const isSorry = event.type === 'end' ? !this.#isSaid : event.type !== 'calls';
    if (isSorry && apology !== null) this.#items.push(...this.#cut([apology]));
    this.#items.push({ type: 'event', event });
  }

  #hearText({ text, annotations = [], logprobs, isFiller }: SaidText): void {
    this.#isSaid ||= isFiller !== true && text.trim() !== '';
    this.#annotations.push(...annotations);
    this.#logprobs = moreLogprobs(this.#logprobs, logprobs);
    this.#items.push(...this.#cut(this.#cutter.add(text)));
    if (isFiller === true) this.#items.push(...this.#cut(this.#cutter.end()));
  }

  /** Sentences; what was said beside their text goes with the first. */
  #cut(transcripts: readonly string[]): readonly Sentence[] {
    return transcripts.map((transcript) => {
      const annotations = this.#annotations;
      const logprobs = this.#logprobs;
      this.#annotations = [];
      this.#logprobs = undefined;
      return { type: 'sentence', transcript, annotations, logprobs, sound: null };
    });
  }

  /** Fetches the sound of the sentence that plays, and of the next. */
  #fetch(): void {
    const { say, gone } = this.#options;
    let fetched = 0;
    for (const item of this.#items) {
      if (this.#isMute || fetched === FETCHED) return;
      if (item.type !== 'sentence') continue;
      const words = spokenPart(item.transcript);
      if (words === '') continue;
      item.sound ??= new Sound((signal) => say(words, signal), gone);
      fetched += 1;
    }
  }

  async *#tell(): AsyncGenerator<string, void> {
    const { encoder, gone } = this.#options;
    try {
      for (let item = await this.#next(); item !== null; item = await this.#next()) {
        yield* item.type === 'sentence' ? this.#play(item) : this.#show(item.event);
        if (encoder.isOver || gone.aborted) return;
        this.#items.shift();
        this.#fetch();
        this.#changed();
      }
    } finally {
      this.#stop();
    }
  }

  /** What is to be told next; null at the end. */
  async #next(): Promise<Tellable | null> {
    for (;;) {
      const [item] = this.#items;
      if (item !== undefined) return item;
      if (this.#failure !== null) throw this.#failure.error;
      if (this.#isOver) return null;
      await this.#change.promise;
    }
  }

  *#show(event: Audible): Generator<string, void> {
    const { encoder, reply } = this.#options;
    // The sound is not kept, so from now on nobody can refer to it. Engines do not ask.
    const expiry = this.#isHeard && reply.showsAsides ? { expires_at: reply.created } : null;
    const isEnd = event.type === 'end' || event.type === 'calls';
    const frames = (isEnd && expiry !== null ? encoder.audio(expiry) : '') + encoder.encode(event);
    if (frames !== '') yield frames;
  }

  /** A sentence: its words when its sound begins, because until then its failure may be all there is to tell. */
  async *#play(sentence: Sentence): AsyncGenerator<string, void> {
    const { encoder, audioId: id, sampleRate, reply } = this.#options;
    const { sound, transcript, annotations, logprobs } = sentence;
    const words = (): string => encoder.audio({ id, transcript }, annotations, logprobs);
    const framesOf = (pieces: readonly Buffer[]): string =>
      pieces.map((piece) => encoder.audio({ id, data: piece.toString('base64') })).join('');
    let untold: string | null = null;
    const pieces = new SoundPieces(sampleRate);
    try {
      for (let chunk = await sound?.next(); chunk != null; chunk = await sound?.next()) {
        untold ??= words();
        const frames = untold + framesOf(pieces.add(chunk));
        untold = '';
        this.#isHeard = true;
        if (frames !== '') yield frames;
      }
      const frames = (untold ?? words()) + framesOf(pieces.end());
      untold = '';
      if (frames !== '') yield frames;
    } catch (error) {
      if (this.#options.gone.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.#mute();
      if (this.#isHeard || reply.hidesErrors) yield (untold ?? words()) + framesOf(pieces.end());
      else if (this.#isHeld) throw error;
      else yield encoder.broken(error);
    }
  }

  #mute(): void {
    this.#isMute = true;
    for (const item of this.#items)
      if (item.type === 'sentence') {
        item.sound?.stop();
        item.sound = null;
      }
  }

  #stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#isOver = true;
    clearTimeout(this.#pause);
    this.#mute();
    this.#changed();
    // Not awaited: it waits for what the run says next, or for the client to be gone, which it is once it has its answer.
    this.#events
      .return?.()
      .catch((error: unknown) => this.#options.log.warn({ err: error }, 'a run could not be left'));
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}

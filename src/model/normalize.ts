/**
 * Turns the chunks of an upstream's answer, parsed from JSON, into the parts of a turn. Every known quirk of
 * OpenAI-compatible servers is evened out here and in calls.ts, so that no other code meets one. Plain checks, no
 * schemas: this runs once per token.
 */
import type { ModelPart } from '../runs/model.ts';
import { isAside, saysSomething, type AsideFields, type Asides } from '../runs/asides.ts';
import type { NewId } from '../runs/ids.ts';
import { logprobsIn, moreLogprobs, type Logprobs } from '../runs/logprobs.ts';
import { THOUGHT_FIELDS, thoughtInPart } from '../runs/thoughts.ts';
import type { Usage } from '../runs/thread.ts';
import { AsideRoom, joinFields } from './aside-fields.ts';
import { Calls } from './calls.ts';
import { answerEndOf, isUnspecified } from './finish-reasons.ts';
import { isRecord } from '../runs/record.ts';
import { countOf, stringOr } from './json.ts';
import { Surrogates } from './surrogates.ts';
import { ThinkTags, type Piece, type ThinkTagMode } from './think-tags.ts';

type PacketFields = Readonly<Record<string, unknown>>;
type FinishPart = Extract<ModelPart, { type: 'finish' }>;

/** One turn's answer. Push its chunks, then end it, once. */
export class Normalizer {
  readonly #calls: Calls;
  readonly #asideRoom = new AsideRoom();
  #asides: AsideFields | null = null;
  readonly #surrogates = new Surrogates();
  readonly #thoughtSurrogates = new Surrogates();
  readonly #tags: ThinkTags;
  #reason: FinishPart['reason'] | 'error' | null = null;
  #saidReason: string | null = null;
  #usage: Usage | null = null;
  /** The logprobs of words that are still held back. */
  #logprobs: Logprobs | undefined;
  #hasText = false;

  constructor(newId: NewId, thinkTags: ThinkTagMode) {
    this.#calls = new Calls(newId, this.#asideRoom);
    this.#tags = new ThinkTags(thinkTags);
  }

  /** How the upstream said that the answer ended, `error` for words that no answer ends with; null as long as it has not. */
  get reason(): FinishPart['reason'] | 'error' | null {
    return this.#reason;
  }

  /** The upstream's own word for that; null as long as there is none. */
  get saidReason(): string | null {
    return this.#saidReason;
  }

  /**
   * Whether the finish reason explains an empty answer: its words were withheld, or there was no room for one. A model
   * that merely stops has not answered.
   */
  get isExplained(): boolean {
    return (
      this.#reason === 'length' || this.#reason === 'content_filter' || this.#saidReason === 'stop_sequence'
    );
  }

  /**
   * The parts that a chunk holds.
   * @param chunk a `chat.completion.chunk`, or a whole `chat.completion`
   * @throws {CallError} when it makes more tool calls than a turn may.
   */
  push(chunk: Readonly<Record<string, unknown>>): readonly ModelPart[] {
    if (isRecord(chunk['usage'])) this.#account(chunk['usage']);
    const parts: ModelPart[] = [];
    for (const choice of choicesOf(chunk)) {
      const delta = deltaOf(choice);
      if (delta !== null) parts.push(...this.#withLogprobs(this.#delta(delta), choice['logprobs']));
      if (isRecord(choice['usage'])) this.#account(choice['usage']);
      if (typeof choice['finish_reason'] === 'string') this.#finish(choice['finish_reason']);
    }
    return parts;
  }

  /** The parts of a chunk that has words and nothing else: what {@link push} makes of it. */
  pushWords(words: string): readonly ModelPart[] {
    return this.#withLogprobs(this.#text(words), null);
  }

  /**
   * The parts that were held back, and the finish part.
   * @throws {CallError} when a call never got its name.
   */
  end(): readonly ModelPart[] {
    const reason = this.#reason === 'error' || this.#reason === null ? 'stop' : this.#reason;
    const released = [...this.#withLogprobs(this.#tags.release().map(partOf), null)];
    // Some servers send them after the words.
    if (this.#logprobs !== undefined && this.#hasText)
      released.push({ type: 'text', text: '', logprobs: this.#logprobs });
    const calls = this.#calls.end();
    const asides = this.#allAsides();
    const finish: ModelPart = { type: 'finish', reason, usage: this.#usage, ...(asides && { asides }) };
    return [...released, ...calls, finish];
  }

  #allAsides(): Asides | null {
    const calls = this.#calls.asides();
    if (this.#asideRoom.isOver || (this.#asides === null && Object.keys(calls).length === 0)) return null;
    return { message: this.#asides ?? {}, calls };
  }

  #delta(delta: PacketFields): readonly ModelPart[] {
    for (const name in delta) if (isAside(name)) this.#aside(name, delta[name]);
    const parts: ModelPart[] = [];
    const thought = this.#thought(delta);
    if (thought !== null) parts.push(thought);
    const { content, refusal } = delta;
    if (Array.isArray(content)) parts.push(...this.#contentParts(content, thought !== null));
    else if (typeof content === 'string') parts.push(...this.#text(content));
    // A refusal is an answer of the model as well; the Assistants wire has no other place for it.
    const refused = this.#surrogates.join(stringOr(refusal));
    const others: ModelPart[] = refused === '' ? [] : [{ type: 'text', text: refused }];
    if (Array.isArray(delta['tool_calls'])) others.push(...this.#calls.push(delta['tool_calls']));
    if (isRecord(delta['function_call'])) others.push(...this.#calls.pushLegacy(delta['function_call']));
    // What is held back was said before them.
    if (others.length > 0) parts.push(...this.#tags.release().map(partOf), ...others);
    return parts;
  }

  #text(said: string): readonly ModelPart[] {
    return this.#tags.push(this.#surrogates.join(said)).map(partOf);
  }

  /** @param hasThought whether the same thought has come in a field of its own */
  #contentParts(content: readonly unknown[], hasThought: boolean): readonly ModelPart[] {
    const thought = hasThought ? '' : this.#thoughtSurrogates.join(content.map(thoughtInPart).join(''));
    const said = this.#text(content.map(partText).join(''));
    return thought === '' ? said : [{ type: 'thought', field: 'reasoning_content', text: thought }, ...said];
  }

  #aside(name: string, value: unknown): void {
    const field = { [name]: value };
    if (saysSomething(value) && this.#asideRoom.take(field)) this.#asides = joinFields(this.#asides, field);
  }

  /** Puts logprobs beside the text that they are about: the last of these parts, or of the next. */
  #withLogprobs(parts: readonly ModelPart[], said: unknown): readonly ModelPart[] {
    // Thoughts have tokens as well, but their words are not the answer's.
    if (parts.length > 0 && parts.every(({ type }) => type === 'thought')) return parts;
    this.#logprobs = moreLogprobs(this.#logprobs, logprobsIn(said) ?? undefined);
    const place = parts.findLastIndex(({ type }) => type === 'text');
    const part = parts[place];
    if (part !== undefined) this.#hasText = true;
    if (this.#logprobs === undefined || part?.type !== 'text') return parts;
    const told = { ...part, logprobs: this.#logprobs };
    this.#logprobs = undefined;
    return parts.with(place, told);
  }

  /** Takes one field only: servers that rename the field send both for a while. */
  #thought(delta: PacketFields): ModelPart | null {
    const field = THOUGHT_FIELDS.find((name) => stringOr(delta[name]) !== '');
    if (field === undefined) return null;
    const text = this.#thoughtSurrogates.join(stringOr(delta[field]));
    return text === '' ? null : { type: 'thought', field, text };
  }

  #finish(said: string): void {
    // Some servers send an empty reason with every chunk, and some send a second, less specific one.
    const isSaid = said !== '' && said !== 'null' && !isUnspecified(said);
    if (!isSaid || (this.#reason !== null && this.#reason !== 'stop')) return;
    this.#saidReason = said;
    const end = answerEndOf(said) ?? 'error';
    this.#reason = end === 'calls' ? 'stop' : end;
  }

  #account(said: Readonly<Record<string, unknown>>): void {
    const prompt = countOf(said['prompt_tokens']);
    const completion = countOf(said['completion_tokens']);
    if (prompt === null && completion === null) return;
    this.#usage = {
      prompt_tokens: prompt ?? 0,
      completion_tokens: completion ?? 0,
      total_tokens: countOf(said['total_tokens']) ?? (prompt ?? 0) + (completion ?? 0),
      prompt_token_details: { cached_tokens: detail(said['prompt_tokens_details'], 'cached_tokens') },
      completion_tokens_details: {
        reasoning_tokens: detail(said['completion_tokens_details'], 'reasoning_tokens'),
      },
    };
  }
}

/** The one choice that counts; some servers send it in several pieces. */
function choicesOf({ choices }: PacketFields): readonly PacketFields[] {
  if (!Array.isArray(choices)) return [];
  return choices.filter(isRecord).filter(({ index }) => typeof index !== 'number' || index === 0);
}

function deltaOf(choice: PacketFields): PacketFields | null {
  if (isRecord(choice['delta'])) return choice['delta'];
  return isRecord(choice['message']) ? choice['message'] : null;
}

/** Thoughts between tags have no field of their own; they are kept in the one that most servers know. */
function partOf({ type, text }: Piece): ModelPart {
  return type === 'text' ? { type, text } : { type, field: 'reasoning_content', text };
}

/** Whether a chunk holds thoughts, under any of the names that servers use. */
export function isThinking(chunk: PacketFields): boolean {
  return choicesOf(chunk)
    .map(deltaOf)
    .some((delta) => delta !== null && hasThought(delta));
}

function hasThought(delta: PacketFields): boolean {
  const { content } = delta;
  if (THOUGHT_FIELDS.some((name) => stringOr(delta[name]) !== '')) return true;
  for (const name in delta) if (isAside(name) && saysSomething(delta[name])) return true;
  return Array.isArray(content) && content.some((part) => isRecord(part) && !isText(part));
}

/** The text of one part of a content array; thoughts come as parts as well, and are not text. */
function partText(part: unknown): string {
  if (typeof part === 'string') return part;
  if (!isRecord(part) || typeof part['text'] !== 'string') return '';
  return isText(part) ? part['text'] : '';
}

function isText({ type }: Readonly<Record<string, unknown>>): boolean {
  return type === undefined || type === 'text' || type === 'output_text';
}

function detail(details: unknown, name: string): number {
  return isRecord(details) ? (countOf(details[name]) ?? 0) : 0;
}

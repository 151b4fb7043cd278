/**
 * The frames of chats: `/chat/completions` as OpenAI defines it, streaming or not. Calls of the caller's tools come in
 * one chunk with their finish reason, and each has its arguments under both names that devices read. SDKs and devices
 * both accept that.
 */
import { turnError, type FailedTurn } from '../../turns/turn-error.ts';
import { ApiError } from '../../errors.ts';
import { withAsides, type AsideFields } from '../../runs/asides.ts';
import { calledFunction } from '../../runs/calls/kinds.ts';
import type { Logprobs } from '../../runs/logprobs.ts';
import type { ChatCall } from '../../runs/model.ts';
import type { ThoughtField, ThoughtFields } from '../../runs/thoughts.ts';
import type { Annotation, RequiredCall, Usage } from '../../runs/thread.ts';
import type { Audible, TurnAsides } from '../../turns/turn-events.ts';
import type { Passing } from '../../store/passing.ts';
import { encoded, type Encoder, type Texts } from '../http/encode.ts';

export interface ChatReply {
  readonly id: string;
  readonly created: number;
  /** The name that the caller used. */
  readonly model: string;
  readonly includeUsage: boolean;
  /** Whether calls are answered in the old form, as the one `function_call`. */
  readonly callsFunctions?: boolean;
  /** For answers that are spoken: said where an answer fails or is empty. Null: failures are errors. */
  readonly apology: string | null;
  /** Whether the caller is shown what the model server said beside words and calls: a program that sends it back. */
  readonly showsAsides: boolean;
  /** Whether nothing but the apology tells of a failure; else the error follows, for whoever reads it. */
  readonly hidesErrors: boolean;
}

/** The sound of an answer, or a part of it. */
export interface AudioFields {
  readonly id?: string;
  readonly transcript?: string;
  /** Base64. */
  readonly data?: string;
  /** Unix seconds. */
  readonly expires_at?: number;
}

const DONE = 'data: [DONE]\n\n';

/** The end of a stream that a fault of ours breaks off. */
export const BROKEN_OFF =
  frame(new ApiError(500, 'The answer broke off. Ask again.', { type: 'server_error' }).body) + DONE;

/** The answer as chunks. */
export function chatFrames(batches: Passing<readonly Audible[]>, reply: ChatReply): Texts {
  return encoded(batches, new ChatEncoder(reply));
}

/** Makes the chunks of an answer. */
export class ChatEncoder implements Encoder<Audible> {
  isOver = false;
  readonly #reply: ChatReply;
  readonly #apologizes: boolean;
  /** A chunk up to its delta, and what follows its finish reason: the same for all of an answer. */
  readonly #head: string;
  readonly #tail: string;
  /** What stands before and after the words of a chunk that has nothing else. */
  readonly #beforeWords: string;
  readonly #afterWords: string;
  #isBegun = false;
  /** Whether there was a word that is not the filler's. */
  #isSaid = false;

  /** @param apologizes false where the apology is said before its event comes here, with its sound */
  constructor(reply: ChatReply, apologizes = true) {
    this.#reply = reply;
    this.#apologizes = apologizes;
    const start = JSON.stringify(head(reply, 'chat.completion.chunk')).slice(0, -1);
    this.#head = `data: ${start},"choices":[{"index":0,"delta":`;
    this.#tail = reply.includeUsage ? '}],"usage":null}\n\n' : '}]}\n\n';
    this.#beforeWords = `${this.#head}{"content":`;
    this.#afterWords = `},"logprobs":null,"finish_reason":null${this.#tail}`;
  }

  encode(event: Audible): string {
    const reply = this.#reply;
    switch (event.type) {
      case 'text': {
        const { text: content, annotations, logprobs, isFiller } = event;
        this.#isSaid ||= isFiller !== true && content.trim() !== '';
        if (this.#isBegun && annotations === undefined && logprobs === undefined)
          return this.#beforeWords + JSON.stringify(content) + this.#afterWords;
        const delta = annotations === undefined ? { content } : { content, ...annotated(annotations) };
        return this.#chunk(delta, null, wireLogprobs(logprobs));
      }
      case 'thought':
        return this.#chunk(thoughtKeys(event.field, event.text), null);
      case 'thought.dropped':
        // Sent thoughts cannot be taken back, but they are no part of the answer.
        return '';
      case 'calls': {
        const { message, calls } = asidesFor(reply, event);
        const told = message === null ? '' : this.#chunk(message, null);
        const delta = { content: null, ...deltaOfCalls(event.calls, reply, calls) };
        return told + this.#chunk(delta, endOfCalls(reply)) + this.#end(event.usage);
      }
      case 'end': {
        // A user who asked by voice would think that the device has not heard. Such devices get no thoughts.
        const sorry = this.#isSaid ? '' : this.#apology();
        const { message } = asidesFor(reply, event);
        const told = message === null ? '' : this.#chunk(message, null);
        return sorry + told + this.#chunk({}, event.reason) + this.#end(event.usage);
      }
      // A stream cannot take words back.
      case 'dropped':
      case 'failed': {
        this.isOver = true;
        const sorry = this.#apology();
        const end = reply.apology === null ? '' : this.#chunk({}, 'stop');
        return sorry + end + (reply.hidesErrors ? '' : frame(turnError(event).body)) + DONE;
      }
    }
  }

  /** A chunk of an answer with sound, behind the one that says whose it is. */
  audio(audio: AudioFields, annotations: readonly Annotation[] = [], logprobs?: Logprobs): string {
    const role = this.#isBegun ? '' : this.#chunk({}, null);
    return role + this.#chunk({ audio, ...annotated(annotations) }, null, wireLogprobs(logprobs));
  }

  /** The end of an answer that broke off for a reason that no event tells. */
  broken(error: ApiError): string {
    this.isOver = true;
    return frame(error.body) + DONE;
  }

  #apology(): string {
    const { apology } = this.#reply;
    return apology === null || !this.#apologizes ? '' : this.#chunk({ content: apology }, null);
  }

  #chunk(delta: Record<string, unknown>, reason: string | null, logprobs: object | null = null): string {
    const said = this.#isBegun ? delta : { role: 'assistant', ...delta };
    this.#isBegun = true;
    const rest = `,"logprobs":${JSON.stringify(logprobs)},"finish_reason":${JSON.stringify(reason)}`;
    return this.#head + JSON.stringify(said) + rest + this.#tail;
  }

  #end(usage: Usage): string {
    this.isOver = true;
    const reply = this.#reply;
    if (!reply.includeUsage) return DONE;
    return frame({ ...head(reply, 'chat.completion.chunk'), choices: [], usage: wireUsage(usage) }) + DONE;
  }
}

/**
 * The answer as one object.
 * @param speak makes the sound of an answer that has it
 * @throws {ApiError} when the run failed and {@link isHttpError}, or the answer cannot be spoken.
 */
export async function chatObject(
  batches: AsyncIterable<readonly Audible[]>,
  reply: ChatReply,
  speak: ((text: string) => Promise<AudioFields | null>) | null = null,
): Promise<unknown> {
  const said = async (content: string | null): Promise<Record<string, unknown>> => {
    const audio = content === null ? null : ((await speak?.(content)) ?? null);
    return audio === null ? { content } : { content: null, audio };
  };
  let text = '';
  let marks: readonly Annotation[] = [];
  let thoughts = '';
  let field: ThoughtField = 'reasoning_content';
  let likelihoods: Likelihood[] = [];
  const whole = (message: Record<string, unknown>, finish_reason: string, usage: Usage | null): unknown => ({
    ...head(reply, 'chat.completion'),
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          refusal: null,
          ...message,
          ...(thoughts !== '' && thoughtKeys(field, thoughts)),
          ...annotated(marks),
        },
        logprobs: wireLogprobs(wholeLogprobs(likelihoods)),
        finish_reason,
      },
    ],
    usage: usage === null ? null : wireUsage(usage),
  });
  for await (const batch of batches)
    for (const event of batch) {
      switch (event.type) {
        case 'text':
          if (event.logprobs !== undefined)
            likelihoods.push({ start: text.length, logprobs: event.logprobs });
          text += event.text;
          marks = [...marks, ...(event.annotations ?? [])];
          break;
        case 'thought':
          thoughts += event.text;
          field = event.field;
          break;
        case 'thought.dropped':
          thoughts = thoughts.slice(0, thoughts.length - event.text.length);
          break;
        case 'dropped':
          // None of it has left this process yet.
          text = text.slice(0, text.length - event.text.length);
          marks = marksBefore(marks, text.length);
          likelihoods = likelihoodsBefore(likelihoods, text.length);
          break;
        case 'calls': {
          const { message, calls } = asidesFor(reply, event);
          const content = await said(text === '' ? null : text);
          return whole(
            { ...message, ...content, ...calledIn(event.calls, reply, calls) },
            endOfCalls(reply),
            event.usage,
          );
        }
        case 'end': {
          const { message } = asidesFor(reply, event);
          const content = await said(text.trim() === '' ? (reply.apology ?? text) : text);
          return whole({ ...message, ...content }, event.reason, event.usage);
        }
        case 'failed':
          if (isHttpError(event, reply)) throw turnError(event);
          return whole(await said(reply.apology ?? ''), 'stop', null);
      }
    }
  // The client has gone, so this is not read.
  return whole({ content: text }, 'stop', null);
}

/**
 * Whether a failure that comes before the first frame is an HTTP error, and no apology. For engines a busy model server is
 * one as well: only the error says how long to wait.
 */
export function isHttpError({ error }: FailedTurn, { apology, hidesErrors }: ChatReply): boolean {
  return apology === null || (!hidesErrors && error.code === 'rate_limit_exceeded');
}

function head({ id, created, model }: ChatReply, object: string): Record<string, unknown> {
  return { id, object, created, model, system_fingerprint: 'fp_longrun' };
}

/** What was said beside calls, by their ids. */
type CallsAsides = TurnAsides['calls'] | null;

/** The one call that the old form has; null where the new form is wanted. */
function oldCall(calls: readonly RequiredCall[], { callsFunctions }: ChatReply): object | null {
  const [first] = calls;
  return callsFunctions === true && first !== undefined ? { function_call: calledFunction(first) } : null;
}

/** Calls in a message. */
function calledIn(calls: readonly RequiredCall[], reply: ChatReply, asides: CallsAsides): object {
  return (
    oldCall(calls, reply) ?? {
      tool_calls: calls.map((call) => withAsides(toolCall(call), asides?.get(call.id))),
    }
  );
}

/** Calls in a delta. */
function deltaOfCalls(calls: readonly RequiredCall[], reply: ChatReply, asides: CallsAsides): object {
  return (
    oldCall(calls, reply) ?? {
      tool_calls: calls.map((call, index) => deviceCall(call, index, asides?.get(call.id))),
    }
  );
}

const endOfCalls = ({ callsFunctions }: ChatReply): string =>
  callsFunctions === true ? 'function_call' : 'tool_calls';

function wholeLogprobs(parts: readonly Likelihood[]): Logprobs | undefined {
  const content = parts.flatMap(({ logprobs }) => logprobs.content ?? []);
  const refusal = parts.flatMap(({ logprobs }) => logprobs.refusal ?? []);
  return parts.length === 0 ? undefined : { content, refusal };
}

/** OpenAI's form: a list that has nothing is null. */
function wireLogprobs(logprobs: Logprobs | undefined): object | null {
  if (logprobs === undefined) return null;
  const listed = (entries: readonly object[] = []): readonly object[] | null =>
    entries.length === 0 ? null : entries;
  return { content: listed(logprobs.content), refusal: listed(logprobs.refusal) };
}

function toolCall(call: RequiredCall): ChatCall {
  return call.type === 'custom' ? call : { id: call.id, type: 'function', function: calledFunction(call) };
}

/** The `annotations` key of a message or delta, where there are any; OpenAI itself has only annotations of web pages. */
function annotated(marks: readonly Annotation[] = []): { readonly annotations?: readonly object[] } {
  return marks.length === 0 ? {} : { annotations: marks.map(chatAnnotation) };
}

/** Logprobs, with the length of the text before the words that they are about. */
interface Likelihood {
  readonly start: number;
  readonly logprobs: Logprobs;
}

function likelihoodsBefore(likelihoods: readonly Likelihood[], length: number): Likelihood[] {
  return likelihoods.filter(({ start }) => start < length);
}

function marksBefore(marks: readonly Annotation[], length: number): readonly Annotation[] {
  return marks.filter((mark) => mark.start_index < length);
}

function chatAnnotation(mark: Annotation): object {
  if (mark.type !== 'url_citation') return mark;
  const { type, start_index, end_index, url_citation: page } = mark;
  return { type, url_citation: { start_index, end_index, ...page } };
}

/** Glasses read `parameters`, all other clients read `arguments`. */
function deviceCall(call: RequiredCall, index: number, asides: AsideFields | undefined): unknown {
  const told = withAsides(toolCall(call), asides);
  if (told.type === 'custom') return { index, ...told };
  const { function: called, ...rest } = told;
  return { index, ...rest, function: { ...called, parameters: called.arguments } };
}

/**
 * Clients know thoughts as `reasoning_content`. Where the server calls them otherwise, they have that name as well, so
 * that a message which a client sends back has what the server looks for.
 */
function thoughtKeys(field: ThoughtField, text: string): ThoughtFields {
  return { reasoning_content: text, [field]: text };
}

/** The asides that the caller is shown. They come whole and last: only then are they known to be those of the answer. */
function asidesFor({ showsAsides }: ChatReply, { asides }: { readonly asides?: TurnAsides }) {
  const { message = {}, calls = null } = (showsAsides && asides) || {};
  return { message: Object.keys(message).length === 0 ? null : message, calls };
}

function wireUsage({
  prompt_tokens,
  completion_tokens,
  total_tokens,
  prompt_token_details,
  completion_tokens_details,
}: Usage): unknown {
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens,
    prompt_tokens_details: prompt_token_details,
    completion_tokens_details,
  };
}

function frame(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

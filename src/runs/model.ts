/** The model as a run sees it: a stream of tagged parts. Adapters in src/model implement it over real servers. */
import type { Asides, CallAsides, MessageAsides } from './asides.ts';
import type { Logprobs } from './logprobs.ts';
import type { Thought, ThoughtFields } from './thoughts.ts';
import type {
  FailureFacts,
  OfferedTool,
  RequiredCall,
  ResponseFormat,
  RunError,
  ToolChoice,
  Usage,
} from './thread.ts';

/** A message in the words of `/chat/completions`, the one protocol every upstream speaks. */
export type ChatMessage =
  | (Named & { readonly role: 'system'; readonly content: string })
  | (Named & { readonly role: 'user'; readonly content: string | readonly ChatPart[] })
  | (Named &
      ThoughtFields &
      MessageAsides & {
        readonly role: 'assistant';
        readonly content: string | null;
        readonly tool_calls?: readonly ChatCall[];
      })
  | { readonly role: 'tool'; readonly tool_call_id: string; readonly content: string };

/** Who says a message, where several speakers share a role; never blank. */
interface Named {
  readonly name?: string;
}

export type ChatPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string; readonly detail: string } }
  | MediaPart;

/** The types of parts that only some servers take; they go to the server as they came. */
export const MEDIA_TYPES = ['input_audio', 'audio', 'audio_url', 'file', 'video_url', 'video'] as const;

/** Sound, a video or a file. */
export interface MediaPart {
  readonly type: (typeof MEDIA_TYPES)[number];
  readonly [field: string]: unknown;
}

export function isMedia(part: ChatPart): part is MediaPart {
  return part.type !== 'text' && part.type !== 'image_url';
}

/** A call of the model; it is told to servers and to clients in the same words. */
export type ChatCall = RequiredCall & CallAsides;

/** The request of one model turn. Null means: not given, so the upstream's default applies. */
export interface ModelRequest {
  /** For the log: which run asks. */
  readonly run_id: string;
  /** The name the client used; the adapter resolves aliases. */
  readonly model: string;
  /** The upstream's name, or null for the default one. */
  readonly backend_id: string | null;
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly OfferedTool[];
  /** Whether the caller is served by an answer without them as well, where the model takes none. */
  readonly tools_optional: boolean;
  readonly tool_choice: ToolChoice;
  readonly parallel_tool_calls: boolean;
  readonly response_format: ResponseFormat;
  readonly temperature: number | null;
  readonly top_p: number | null;
  readonly reasoning_effort: string | null;
  /** Tokens this turn may still produce. */
  readonly max_completion_tokens: number | null;
  /** Further parameters for the upstream, as the caller gave them; none of the above. */
  readonly passed_on: Readonly<Record<string, unknown>>;
  /** Secrets that came with the request, sealed; the adapter opens them when it asks. */
  readonly sealed: string | null;
  /** How long a server that cannot answer yet is waited for at most, in milliseconds; missing: as long as the adapter waits. */
  readonly wait_ms?: number;
}

/**
 * The parts of a turn, without the upstream's quirks:
 * - `text`: a fragment of the answer, not empty except for logprobs that came after their words; with its logprobs
 *   where the server sent some
 * - `thought`: a non-empty fragment of what the model thinks, and the field in which its server sent it
 * - `again`: the server failed before the first word or call and is asked again; the thoughts so far are void
 * - `call`: the model calls a tool; indices count 0, 1, 2 … in order of appearance; id and name are never empty and
 *   come once
 * - `arguments`: a non-empty fragment of that call's JSON arguments, or of the free text that is a custom call's input
 * - `finish`: the last part, exactly once; `usage` is null when the upstream did not report it; `asides` are those of the
 *   whole turn, missing where there are none
 */
export type ModelPart =
  | { readonly type: 'text'; readonly text: string; readonly logprobs?: Logprobs }
  | (Thought & { readonly type: 'thought' })
  | { readonly type: 'again' }
  | { readonly type: 'call'; readonly index: number; readonly id: string; readonly name: string }
  | { readonly type: 'arguments'; readonly index: number; readonly text: string }
  | {
      readonly type: 'finish';
      readonly reason: 'stop' | 'length' | 'content_filter';
      readonly usage: Usage | null;
      readonly asides?: Asides;
    };

/**
 * Takes a part in the moment it comes, without a promise for each token. @returns whether it did; if not, the part is to be
 * given to who reads the stream.
 */
export type TakePart = (part: ModelPart) => boolean;

export interface Model {
  /**
   * Asks the model. The adapter retries, and only before the first word or call. Aborting `signal` closes the upstream
   * connection at once; the stream then throws the signal's reason.
   * @param take may be offered parts while the reader waits for the next one, in their order; the stream has those it refuses
   * @throws {ModelError} when the upstream cannot be reached, refuses, breaks off or talks nonsense.
   */
  stream(request: ModelRequest, signal: AbortSignal, take?: TakePart): AsyncIterable<ModelPart>;

  /**
   * What the context of a model holds, answer included, in tokens as we estimate them: at most `most`, and less where the
   * adapter knows better. Missing where it never does.
   * @param sealed secrets that came with the request; null for none
   */
  contextTokens?(model: string, backendId: string | null, most: number, sealed: string | null): number;

  /** Hears what a server counted in a prompt that we estimated at `estimated` tokens. */
  promptCounted?(request: ModelRequest, promptTokens: number, estimated: number): void;
}

/** A prompt that is longer than the model's context, in the server's tokens; null where it did not say. */
export interface Overflow {
  /** What the context holds, answer included. */
  readonly limitTokens: number | null;
  /** What the prompt has. */
  readonly askedTokens: number | null;
}

export interface ModelErrorOptions extends ErrorOptions {
  readonly retryAfterMs?: number | null;
  readonly overflow?: Overflow | null;
  readonly facts?: Partial<FailureFacts>;
}

/** A turn that failed. The message ends up in the run's `last_error`: no keys, no stacks. */
export class ModelError extends Error {
  readonly code: RunError['code'];
  /** How long the upstream asked not to be called; null when it did not say. */
  readonly retryAfterMs: number | null;
  /** The same for the operator. Where `message` quotes an upstream or a user, give a reason that does not. */
  readonly facts: FailureFacts;
  /** The server refused the prompt as too long; null where it failed otherwise. */
  readonly overflow: Overflow | null;

  constructor(code: RunError['code'], message: string, options: ModelErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : {});
    this.name = 'ModelError';
    this.code = code;
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.overflow = options.overflow ?? null;
    this.facts = { reason: message, ...options.facts };
  }
}

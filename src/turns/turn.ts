/**
 * What every chat-like protocol asks for, in one shape. A protocol reads its own request into this and knows nothing
 * beyond it.
 */
import type { ChatMessage } from '../runs/model.ts';
import type { OfferedTool, ResponseFormat, ToolChoice } from '../runs/thread.ts';
import type { Multitask } from './settle.ts';

export interface ChatTurn {
  /** The agent that is asked: an upstream's model, an alias, an assistant's id or its name. */
  readonly agent: string;
  /**
   * Whether the name stood in angle brackets, as devices write the names of agents; then it is unlikely to be a model's
   * name.
   */
  readonly isSpoken: boolean;
  /** The conversation as the caller sent it, oldest first; never empty. */
  readonly messages: readonly ChatMessage[];
  /** Tools that the caller runs; their calls go out to the caller. */
  readonly tools: readonly OfferedTool[];
  /** Whether an answer without tools serves the caller as well, where the model takes none. */
  readonly toolsOptional: boolean;
  readonly settings: ChatSettings;
  /** Whether a tool choice that no tool satisfies counts as none: devices send what they sent before. */
  readonly forgivesChoice?: boolean;
  /** Parameters that only the upstream understands. */
  readonly passedOn: Readonly<Record<string, unknown>>;
  /** Fields of the request that are no parameters of ours; tools may read them. */
  readonly context: Readonly<Record<string, unknown>>;
  /** Secrets of the request, sealed; null when there are none. */
  readonly sealed: string | null;
  /**
   * The conversation that this continues: a key that the caller chose, or a `thread_…` id; null for a stateless request.
   */
  readonly thread: string | null;
  /** The user and the device that the request names; null where it names neither. */
  readonly caller: { readonly user: string | null; readonly device: string | null } | null;
  /** The user made up for a request that names none, where its thread depends on the user; else empty. */
  readonly madeUp: string;
  /** Tells a repetition of this turn from another turn. */
  readonly turnKey: string;
  /** How long its caller can wait for a model server that cannot answer yet; missing: as long as the run lives. */
  readonly waitMs?: number;
  /** What to do when the thread already has a run for another turn. */
  readonly multitask: Multitask;
  /** What happens to the run when the caller hangs up. */
  readonly onDisconnect: 'cancel' | 'continue';
  /** Whether the caller can answer calls of tools; if it cannot, the run ends with the calls. */
  readonly answersCalls: boolean;
  /** The outputs that the end of the conversation brings for calls that it tells by the names of their functions. */
  readonly namedAnswers?: Readonly<Record<string, string>>;
  /**
   * Names the caller that waits for a photo after a `take_a_photo` call, where callers send the photo as a new request.
   * Null for other callers, and for those that nothing tells apart: one could get another's photo.
   */
  readonly photoCaller: string | null;
}

/** Null: not given, so the agent's own setting or the upstream's default applies. */
export interface ChatSettings {
  readonly toolChoice: ToolChoice;
  readonly parallelToolCalls: boolean | null;
  readonly responseFormat: ResponseFormat | null;
  readonly temperature: number | null;
  readonly topP: number | null;
  readonly reasoningEffort: string | null;
  readonly maxCompletionTokens: number | null;
}

/** Whether a message names its speaker. Such a system message is an example of what is said, and stays in its place. */
export function isNamed(message: ChatMessage): boolean {
  return message.role !== 'tool' && message.name !== undefined;
}

/** The last thing the user said. */
export function lastUserMessage(
  messages: readonly ChatMessage[],
): Extract<ChatMessage, { role: 'user' }> | null {
  return messages.findLast((message) => message.role === 'user') ?? null;
}

/** The first picture of a user's message, or null. */
export function pictureIn(message: ChatMessage | null): string | null {
  if (message?.role !== 'user' || typeof message.content === 'string') return null;
  const part = message.content.find((candidate) => candidate.type === 'image_url');
  return part?.type === 'image_url' ? part.image_url.url : null;
}

/** The text of a user's or assistant's message. */
export function textIn(message: ChatMessage | null): string {
  if (message === null || message.content === null) return '';
  if (typeof message.content === 'string') return message.content;
  return message.content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
}

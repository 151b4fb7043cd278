/** What every chat-like protocol asks for, in one shape. A protocol reads its own request into this, and knows no more. */
import type { ChatMessage } from '../runs/model.ts';
import type { FunctionTool, ResponseFormat, ToolChoice } from '../runs/thread.ts';
import type { Multitask } from './settle.ts';

export interface ChatTurn {
  /** Who is asked: an upstream's model, an alias, an assistant's id or its name. */
  readonly agent: string;
  /** Whether the name stood in angle brackets, as devices write the names of agents: then it is hardly any model's. */
  readonly isSpoken: boolean;
  /** The conversation as the caller sent it, oldest first; never empty. */
  readonly messages: readonly ChatMessage[];
  /** Tools the caller runs; calls of them pass out. */
  readonly tools: readonly FunctionTool[];
  readonly settings: ChatSettings;
  /** Parameters that only the upstream understands. */
  readonly passedOn: Readonly<Record<string, unknown>>;
  /** What came along that is nobody's parameter; tools may read it. */
  readonly context: Readonly<Record<string, unknown>>;
  /** Secrets of the request, sealed; null when there are none. */
  readonly sealed: string | null;
  /** The conversation this continues: a key of the caller's choice or a `thread_…` id; null for a stateless request. */
  readonly thread: string | null;
  /** Who asks, as far as the request says so: its device and its user; null where it names neither. */
  readonly caller: { readonly user: string | null; readonly device: string | null } | null;
  /** The user that was made up for a request that names none, where its thread depends on it; else empty. */
  readonly madeUp: string;
  /** Tells a repetition of this turn from another one. */
  readonly turnKey: string;
  /** What to do when the thread has a run already, and it is about another turn. */
  readonly multitask: Multitask;
  /** What a caller that hangs up wants. */
  readonly onDisconnect: 'cancel' | 'continue';
  /** Whether the caller can answer calls of tools; the run of one that cannot is over with them. */
  readonly answersCalls: boolean;
  /**
   * Who waits for a photo after a `take_a_photo` call, for callers that send it as a new request. Null for others, and for
   * those that nothing tells apart: their photo might be somebody else's.
   */
  readonly photoCaller: string | null;
}

/** Null: not given, so the agent's own setting or the upstream's default. */
export interface ChatSettings {
  readonly toolChoice: ToolChoice;
  readonly parallelToolCalls: boolean | null;
  readonly responseFormat: ResponseFormat | null;
  readonly temperature: number | null;
  readonly topP: number | null;
  readonly reasoningEffort: string | null;
  readonly maxCompletionTokens: number | null;
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

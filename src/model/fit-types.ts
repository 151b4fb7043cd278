/** The messages that are fitted to a server, by their roles. */
import type { ChatMessage } from '../runs/model.ts';

/** A message on the wire, where `system` may have its newer name. */
export type WireMessage = ChatMessage | SystemMessage;

export type SystemMessage = Omit<Extract<ChatMessage, { role: 'system' }>, 'role'> & {
  readonly role: 'system' | 'developer';
};
export type UserMessage = Extract<ChatMessage, { role: 'user' }>;
export type AssistantMessage = Extract<ChatMessage, { role: 'assistant' }>;
export type ToolMessage = Extract<ChatMessage, { role: 'tool' }>;

/** The messages that are fitted to a server, by their roles. */
import type { ChatMessage } from '../runs/model.ts';

/** A message on the wire, where `system` may have its newer name. */
export type WireMessage = ChatMessage | System;

export type System = Omit<Extract<ChatMessage, { role: 'system' }>, 'role'> & {
  readonly role: 'system' | 'developer';
};
export type User = Extract<ChatMessage, { role: 'user' }>;
export type Assistant = Extract<ChatMessage, { role: 'assistant' }>;
export type Tool = Extract<ChatMessage, { role: 'tool' }>;

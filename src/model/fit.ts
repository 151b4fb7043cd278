/**
 * The last step before the wire, always on: messages that the strictest model server takes, whatever a thread's runs or a
 * client's history left behind. Pure.
 */
import type { ChatMessage } from '../runs/model.ts';

/** A message on the wire, where `system` may have its newer name. */
export type WireMessage =
  | ChatMessage
  | (Omit<Extract<ChatMessage, { role: 'system' }>, 'role'> & { readonly role: 'developer' });

/** What differs between servers. The defaults are {@link FIT}. */
export interface FitOptions {
  /**
   * `nine`: call ids become nine letters and digits, as Mistral insists; ids that are so already stay. `own`: they stay
   * as the server wrote them, as Kimi wants them back.
   */
  readonly callIds: 'nine' | 'own';
  /** Where system messages may be: `anywhere`; joined at the beginning; or nowhere: the first user turn begins with them. */
  readonly system: 'anywhere' | 'first' | 'none';
  /** What the role is called. */
  readonly systemName: 'system' | 'developer';
  /** `fill`: calls without thoughts get empty ones (`reasoning_content`); `drop`: no thoughts at all. */
  readonly thoughts: 'keep' | 'fill' | 'drop';
  /** `fill`: calls without Google's thought signature get the one that Google documents for history of other models. */
  readonly signatures: 'keep' | 'fill';
  /** `last`: only the last user turn keeps its pictures; earlier ones become `[picture]`, for models that see none. */
  readonly pictures: 'keep' | 'last';
  /** Whether an assistant message may be the last: the server then continues it. Else a user turn `…` follows. */
  readonly prefill: boolean;
}

export const FIT: FitOptions = {
  callIds: 'nine',
  system: 'anywhere',
  systemName: 'system',
  thoughts: 'keep',
  signatures: 'keep',
  pictures: 'keep',
  prefill: false,
};

/** The messages as such a server takes them; the same list where nothing has to change. */
export function fitMessages(messages: readonly WireMessage[], _options: FitOptions): readonly WireMessage[] {
  return messages;
}

/**
 * What clients keep of a conversation, holes included: answers that were broken off before a word, calls and answers from
 * servers that know no ids. Only the newest message has to say something.
 */

interface HeldMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly refusal?: unknown;
  readonly audio?: unknown;
  readonly tool_calls?: readonly unknown[] | null | undefined;
  readonly tool_call_id?: string | null | undefined;
}

/**
 * The messages with empty contents where earlier ones have none, and with empty ids where answers have none but calls
 * before them.
 */
export function withoutHoles<Message extends HeldMessage>(messages: readonly Message[]): readonly Message[] {
  let hasCalls = false;
  return messages.map((message, index) => {
    hasCalls ||= (message.tool_calls ?? []).length > 0;
    if (message.role === 'tool')
      return message.tool_call_id ? message : { ...message, tool_call_id: hasCalls ? '' : null };
    const isSilent =
      isNothing(message.content) &&
      message.refusal == null &&
      message.audio == null &&
      (message.tool_calls ?? []).length === 0;
    return isSilent && index < messages.length - 1 ? { ...message, content: '' } : message;
  });
}

function isNothing(content: unknown): boolean {
  return content == null || (Array.isArray(content) && content.length === 0);
}

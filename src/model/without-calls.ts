/**
 * A conversation for a model that takes no tools, although calls of another model, or of an earlier time, are in it. Its
 * server may not even know the role `tool`, so what the tools answered is told as if the user had said it. Not as words
 * of the assistant: models repeat the form of what they seem to have said. Pure.
 */
import { calledFunction } from '../runs/calls/kinds.ts';
import type { ChatMessage } from '../runs/model.ts';

/** The messages without calls; the same list where there are none. */
export function withoutCalls(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  if (!messages.some((message) => message.role === 'tool' || hasCalls(message))) return messages;
  const called = new Map<string, string>();
  const told: ChatMessage[] = [];
  for (const message of messages) {
    if (message.role === 'tool') {
      const what = called.get(message.tool_call_id) ?? 'A tool';
      told.push({ role: 'user', content: `[${what} answered: ${message.content}]` });
    } else if (message.role === 'assistant' && message.tool_calls !== undefined) {
      for (const call of message.tool_calls) {
        const { name, arguments: text } = calledFunction(call);
        called.set(call.id, `${name}(${text})`);
      }
      if (message.content !== null && message.content !== '')
        told.push({ role: 'assistant', content: message.content });
    } else told.push(message);
  }
  return told;
}

function hasCalls(message: ChatMessage): boolean {
  return message.role === 'assistant' && message.tool_calls !== undefined;
}

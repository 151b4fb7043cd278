/**
 * The ids of the calls of one conversation. Some model servers count their ids anew with each completion; a client that got
 * one id twice could not say which call it answers, and a late answer to the first call would answer the second.
 */
import type { NewId } from './ids.ts';
import { callsOf } from './parts.ts';
import type { History } from './blocks.ts';

/** Gives each call an id that none has in what the prompt knows. */
export class CallIds {
  readonly #history: History;
  readonly #newId: NewId;
  #known: Set<string> | null = null;

  constructor(history: History, newId: NewId) {
    this.#history = history;
    this.#newId = newId;
  }

  /** The server's own id where it is new, otherwise another one. */
  take(id: string): string {
    // Most completions call nothing.
    this.#known ??= new Set(idsIn(this.#history));
    const fresh = this.#known.has(id) ? this.#newId('call') : id;
    this.#known.add(fresh);
    return fresh;
  }
}

function idsIn({ input, items }: History): readonly string[] {
  return [
    ...input.flatMap((message) => {
      if (message.role === 'tool') return [message.tool_call_id];
      return message.role === 'assistant' ? (message.tool_calls ?? []).map(({ id }) => id) : [];
    }),
    ...items.flatMap((item) => (item.object === 'thread.run.step' ? callsOf(item).map(({ id }) => id) : [])),
  ];
}

/**
 * Messages as turns: neighbours of one role together, and each call with its answer, wherever in the history that is.
 * What has nothing to say is left out: blank system and assistant messages, answers without a call, and second answers.
 * Pure.
 */
import type { ChatCall } from '../runs/model.ts';
import { isBlank, wellFormed } from './fit-texts.ts';
import type { AssistantMessage, SystemMessage, ToolMessage, UserMessage, WireMessage } from './fit-types.ts';

export type FitTurn = SpeechTurn<SystemMessage> | SpeechTurn<UserMessage> | AssistantTurn;

/** What the system or the user says in a row; the user's may be blank. */
export interface SpeechTurn<Message extends SystemMessage | UserMessage> {
  readonly role: Message['role'] extends 'user' ? 'user' : 'system';
  readonly messages: [Message, ...Message[]];
}

/** What the model says in a row, up to the answers to its calls. */
export interface AssistantTurn {
  readonly role: 'assistant';
  readonly messages: [AssistantMessage, ...AssistantMessage[]];
  readonly calls: AskedCall[];
  /** How many calls at the beginning are known to be answered. */
  answered: number;
  isAnswered: boolean;
}

export interface AskedCall {
  readonly call: ChatCall;
  answer: ToolMessage | null;
}

/** The turns of a history, in order. */
export function turnsOf(messages: readonly WireMessage[]): readonly FitTurn[] {
  const turns: FitTurn[] = [];
  const answers = new Answers();
  for (const given of messages) {
    const message = wellFormed(given);
    switch (message.role) {
      case 'system':
      case 'developer':
        if (!isBlank(message.content)) addSystem(turns, message);
        break;
      case 'user':
        addUser(turns, message);
        break;
      case 'assistant':
        addAssistant(turns, message, answers);
        break;
      case 'tool':
        answers.hear(message);
        break;
    }
  }
  answers.end();
  return turns;
}

function addSystem(turns: FitTurn[], message: SystemMessage): void {
  const last = turns.at(-1);
  if (last?.role === 'system') last.messages.push(message);
  else turns.push({ role: 'system', messages: [message] });
}

function addUser(turns: FitTurn[], message: UserMessage): void {
  const last = turns.at(-1);
  if (last?.role === 'user') last.messages.push(message);
  else turns.push({ role: 'user', messages: [message] });
}

function addAssistant(turns: FitTurn[], message: AssistantMessage, answers: Answers): void {
  const calls = message.tool_calls ?? [];
  const isSilent = isBlank(message.content);
  if (isSilent && calls.length === 0) return;
  const last = turns.at(-1);
  // Words after calls come after their answers.
  const joins = last?.role === 'assistant' && !last.isAnswered && (last.calls.length === 0 || isSilent);
  const turn: AssistantTurn = joins
    ? last
    : { role: 'assistant', messages: [message], calls: [], answered: 0, isAnswered: false };
  if (joins) turn.messages.push(message);
  else turns.push(turn);
  for (const call of calls) answers.expect(turn, call);
}

/** The calls of one turn that have the same id; nearly always one. */
interface Expected {
  readonly turn: AssistantTurn;
  readonly calls: AskedCall[];
  answered: number;
}

/**
 * Finds the call of each answer: the latest of that id, because some servers count their ids from zero in every
 * completion; within one turn, in order.
 */
class Answers {
  readonly #expected = new Map<string, Expected>();
  /** Answers that stand before their calls, the first of each id. */
  readonly #early = new Map<string, ToolMessage>();
  readonly #turns: AssistantTurn[] = [];

  expect(turn: AssistantTurn, call: ChatCall): void {
    const asked: AskedCall = { call, answer: null };
    turn.calls.push(asked);
    if (this.#turns.at(-1) !== turn) this.#turns.push(turn);
    const known = this.#expected.get(call.id);
    if (known?.turn === turn) known.calls.push(asked);
    else this.#expected.set(call.id, { turn, calls: [asked], answered: 0 });
  }

  hear(answer: ToolMessage): void {
    const id = answer.tool_call_id;
    // Some servers and clients know no ids; then the order tells.
    if (id === '') return this.#hearNext(answer);
    const expected = this.#expected.get(id);
    if (expected === undefined) {
      if (!this.#early.has(id)) this.#early.set(id, answer);
      return undefined;
    }
    const asked = expected.calls[expected.answered];
    if (asked === undefined) return undefined;
    expected.answered += 1;
    return take(expected.turn, asked, answer);
  }

  /** Gives calls that are still without one the answers that stood before them. */
  end(): void {
    if (this.#early.size === 0) return;
    for (const turn of this.#turns) {
      for (const asked of turn.calls) {
        const early = asked.answer === null ? this.#early.get(asked.call.id) : undefined;
        if (early === undefined) continue;
        this.#early.delete(asked.call.id);
        take(turn, asked, early);
      }
    }
  }

  #hearNext(answer: ToolMessage): void {
    const turn = this.#turns.at(-1);
    if (turn === undefined) return;
    while (turn.calls[turn.answered]?.answer != null) turn.answered += 1;
    const asked = turn.calls[turn.answered];
    if (asked !== undefined) take(turn, asked, answer);
  }
}

function take(turn: AssistantTurn, asked: AskedCall, answer: ToolMessage): void {
  asked.answer = answer;
  turn.isAnswered = true;
}

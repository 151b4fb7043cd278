/**
 * The last step before the wire, always on: messages that the strictest model server takes, whatever a thread's runs or a
 * client's history left behind. Nothing that somebody said is lost. Pure.
 *
 *   F1  after the system messages, user turns and assistant turns alternate, beginning with the user's; neighbours of one
 *       role are one message
 *   F2  calls have their answers directly behind them, in their order, and answers have calls; an assistant message
 *       follows before the user speaks
 *   F3  no text is blank, and arguments are JSON objects
 *   F4  call ids are nine letters and digits, and differ
 *   F5  the last message is the user's or a tool's answer
 *
 * System messages in the middle stay where they are and count for nothing, unless the options say where they may be.
 * Messages that are added later change nothing before the turn they join, because servers keep what they have read.
 */
import type { ChatCall } from '../runs/model.ts';
import { WireIds, fittedCall, NO_ANSWER, NO_OUTPUT, withSignature, withThoughts } from './fit-calls.ts';
import { isBlank, joinedSpeech, joinedText, otherFields, withoutPictures } from './fit-texts.ts';
import { turnsOf, type AssistantTurn, type SpeechTurn, type FitTurn } from './fit-turns.ts';
import type { AssistantMessage, SystemMessage, ToolMessage, UserMessage, WireMessage } from './fit-types.ts';

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

/** What most servers take, and all the strict ones that are not named in {@link FitOptions}. */
export const FIT: FitOptions = {
  callIds: 'nine',
  system: 'anywhere',
  systemName: 'system',
  thoughts: 'keep',
  signatures: 'keep',
  pictures: 'keep',
  prefill: false,
};

/** A turn that has to be there and has no words: of a user who says nothing, or of a model that was interrupted. */
const SILENCE = '…';

/** The messages as such a server takes them; the same list where nothing has to change. */
export function fitMessages(messages: readonly WireMessage[], options: FitOptions): readonly WireMessage[] {
  const turns = turnsOf(placed(messages, options.system));
  const isUnasked = isAnswered(turns, options.prefill);
  const lastUser = isUnasked ? turns.length : turns.findLastIndex(({ role }) => role === 'user');
  const fitted = new Fitted(options);
  for (const [index, turn] of turns.entries()) fitted.add(turn, index < lastUser);
  const list = isUnasked
    ? [...fitted.messages, { role: 'user' as const, content: SILENCE }]
    : fitted.messages;
  const isSame =
    list.length === messages.length && list.every((message, index) => message === messages[index]);
  return isSame ? messages : list;
}

/** Whether the turns leave nothing to answer, so that a server would not know what to do. */
function isAnswered(turns: readonly FitTurn[], prefill: boolean): boolean {
  const last = turns.findLast(({ role }) => role !== 'system');
  if (last?.role !== 'assistant') return last === undefined;
  const said: object = last.messages.at(-1) ?? {};
  // An answer that the server is to continue. Mistral and DeepSeek call it `prefix`, Kimi and Qwen `partial`.
  const isBegun = ('prefix' in said && said.prefix === true) || ('partial' in said && said.partial === true);
  return last.calls.length === 0 && !prefill && !isBegun;
}

/** The messages with those of the system where the server takes them. */
function placed(messages: readonly WireMessage[], where: FitOptions['system']): readonly WireMessage[] {
  if (where === 'anywhere') return messages;
  const system = messages.filter(isSystem);
  const rest = messages.filter((message) => !isSystem(message));
  if (where === 'first') return [...system, ...rest];
  const said = system.filter(({ content }) => !isBlank(content));
  return said.length === 0 ? rest : [{ role: 'user', content: joinedText(said) }, ...rest];
}

function isSystem(message: WireMessage): message is SystemMessage {
  return message.role === 'system' || message.role === 'developer';
}

/** The fitted messages, as they grow turn by turn. */
class Fitted {
  readonly #options: FitOptions;
  readonly #ids: WireIds;
  readonly messages: WireMessage[] = [];
  /** Who was last to speak, the system aside. */
  #last: 'user' | 'assistant' | 'tool' | null = null;

  constructor(options: FitOptions) {
    this.#options = options;
    this.#ids = new WireIds(options.callIds);
  }

  /** @param isEarlier whether the user speaks again after this turn */
  add(turn: FitTurn, isEarlier: boolean): void {
    if (turn.role === 'system') this.messages.push(this.#system(turn));
    else if (turn.role === 'user') this.#user(turn, isEarlier);
    else this.#assistant(turn);
  }

  #system({ messages }: SpeechTurn<SystemMessage>): SystemMessage {
    const [first] = messages;
    const { systemName: role } = this.#options;
    if (messages.length === 1) return first.role === role ? first : { ...first, role };
    return { ...otherFields(messages), role, content: joinedText(messages) };
  }

  #user({ messages }: SpeechTurn<UserMessage>, isEarlier: boolean): void {
    if (this.#last === 'tool') this.messages.push({ role: 'assistant', content: SILENCE });
    const seen =
      isEarlier && this.#options.pictures === 'last'
        ? messages.map((message) => withoutPictures(message))
        : messages;
    this.messages.push(joinedSpeech(seen) ?? { ...messages[0], content: SILENCE });
    this.#last = 'user';
  }

  #assistant(turn: AssistantTurn): void {
    if (this.#last === null) this.messages.push({ role: 'user', content: SILENCE });
    const calls = turn.calls.map(({ call }) => fittedCall(call, this.#ids));
    this.messages.push(this.#said(turn, calls));
    for (const [index, { id }] of calls.entries()) {
      this.messages.push(fittedAnswer(turn.calls[index]?.answer ?? null, id));
    }
    this.#last = calls.length > 0 ? 'tool' : 'assistant';
  }

  #said({ messages }: AssistantTurn, calls: readonly ChatCall[]): AssistantMessage {
    const { thoughts, signatures } = this.#options;
    const said = withThoughts(joinedAnswer(messages, calls), thoughts);
    return signatures === 'fill' ? withSignature(said) : said;
  }
}

/** What one assistant turn says, with its calls. */
function joinedAnswer(messages: AssistantTurn['messages'], calls: readonly ChatCall[]): AssistantMessage {
  const [first] = messages;
  const content = joinedText(messages) || null;
  const before = first.tool_calls;
  const isSame =
    messages.length === 1 &&
    content === first.content &&
    (before === undefined
      ? calls.length === 0
      : before.length === calls.length &&
        calls.length > 0 &&
        calls.every((call, index) => call === before[index]));
  if (isSame) return first;
  return {
    ...otherFields(messages),
    role: 'assistant',
    content,
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

function fittedAnswer(answer: ToolMessage | null, id: string): ToolMessage {
  if (answer === null) return { role: 'tool', tool_call_id: id, content: NO_ANSWER };
  if (isBlank(answer.content)) return { ...answer, tool_call_id: id, content: NO_OUTPUT };
  return answer.tool_call_id === id ? answer : { ...answer, tool_call_id: id };
}

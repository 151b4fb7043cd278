/**
 * The next request to the model: the thread and the run's own steps as chat messages, cut to what fits, with the run's
 * settings. Pure. Truncation leaves out whole blocks only, so a tool answer never loses its call.
 */
import { withAsides, type Asides, type KeptAsides } from './asides.ts';
import { answerMessage, askedCall, demandedTool, offeredTools, toolName } from './calls/kinds.ts';
import { callsOf } from './parts.ts';
import { picturesIn } from './pictures.ts';
import { type RunState } from './run.ts';
import { schemaTokens, tokensOf } from './prompt-size.ts';
import { thinker, thoughtFields, type KeptThought } from './thoughts.ts';
import {
  textOf,
  type Message,
  type OfferedTool,
  type RunStep,
  type ThreadItem,
  type ToolChoice,
} from './thread.ts';
import type { ChatMessage, ChatPart, ModelRequest } from './model.ts';

/** Either a request, with an estimate of its size in tokens, or the budget that is used up. */
export type Prompt =
  | { readonly type: 'ask'; readonly request: ModelRequest; readonly estimatedTokens: number }
  | { readonly type: 'exhausted'; readonly reason: 'max_prompt_tokens' | 'max_completion_tokens' };

/**
 * What the prompt is made from: the messages of a request without a thread, and the thread with its tool steps, in order.
 */
export interface History {
  readonly input: readonly ChatMessage[];
  readonly items: readonly ThreadItem[];
  /** What models thought before the steps of calls, by their ids. */
  readonly thoughts?: ReadonlyMap<string, readonly KeptThought[]>;
  /** What their servers said beside the steps of calls, by the ids of the steps. */
  readonly asides?: ReadonlyMap<string, KeptAsides>;
}

export interface PromptOptions {
  /** The upper limit of the prompt, whatever the run's own budget: the context without the room for the answer. */
  readonly contextTokens: number;
  /**
   * Whether this is the run's first request, and whether it is the last one allowed: then the model has to answer
   * without tools.
   */
  readonly first: boolean;
  readonly last: boolean;
}

/**
 * Messages that stay or go together. Blocks of items that are not the run's own are made once for each item, because the next
 * turn of the same thread needs nearly all of them again.
 */
interface Block {
  readonly messages: readonly ChatMessage[];
  readonly tokens: number;
  /** Said or done by this run itself: never cut, or the model would repeat itself. */
  readonly own: boolean;
  readonly user: boolean;
}

/** Builds the next request of a run. */
export function buildPrompt(
  state: RunState,
  history: History,
  { contextTokens, first, last }: PromptOptions,
): Prompt {
  const { run, spent } = state;
  const completionLeft = left(run.max_completion_tokens, spent.completion_tokens);
  if (completionLeft !== null && completionLeft <= 0)
    return { type: 'exhausted', reason: 'max_completion_tokens' };
  const promptLeft = left(run.max_prompt_tokens, spent.prompt_tokens);
  const system: readonly ChatMessage[] =
    run.instructions === '' ? [] : [{ role: 'system', content: run.instructions }];
  const systemTokens = tokensOf(system);
  const declared = offeredTools(run.tools);
  const fixedTokens = systemTokens + schemaTokens(declared, run.response_format);
  const room = Math.min(promptLeft ?? Infinity, contextTokens) - fixedTokens;
  const all = [...inputBlocks(history.input), ...toBlocks(state, history)];
  const blocks = cut(lastMessages(all, run.truncation_strategy.last_messages), room);
  const tokens = fixedTokens + total(blocks);
  const messages = [...system];
  for (const block of blocks) messages.push(...block.messages);
  const tools = declared.filter((tool) => !isSpent(tool, state, messages));
  if (promptLeft !== null && tokens > promptLeft) return { type: 'exhausted', reason: 'max_prompt_tokens' };
  return {
    type: 'ask',
    estimatedTokens: tokens,
    request: {
      run_id: run.id,
      model: run.model,
      backend_id: state.origin.backend_id,
      messages,
      tools,
      tools_optional: state.origin.tools_optional === true && isLeftToModel(run.tool_choice),
      tool_choice: last ? 'none' : toolChoice(run.tool_choice, tools, first && state.turn === 1),
      parallel_tool_calls: run.parallel_tool_calls,
      response_format: run.response_format,
      // Reasoning models refuse these two fields, so the default is not sent.
      temperature: run.temperature === 1 ? null : run.temperature,
      top_p: run.top_p === 1 ? null : run.top_p,
      reasoning_effort: run.reasoning_effort,
      max_completion_tokens: completionLeft,
      passed_on: state.origin.passed_on,
      sealed: state.origin.sealed,
      ...(state.origin.wait_ms !== undefined && { wait_ms: state.origin.wait_ms }),
    },
  };
}

const isLeftToModel = (choice: ToolChoice): boolean => choice === 'auto' || choice === 'none';

const left = (budget: number | null, spent: number): number | null =>
  budget === null ? null : budget - spent;

/** A user who has just shown a picture need not be asked for one; models would ask for one photo after another. */
function isSpent(tool: OfferedTool, { origin }: RunState, said: readonly ChatMessage[]): boolean {
  if (!(origin.offered_until_picture ?? []).includes(toolName(tool))) return false;
  const content = said.findLast(({ role }) => role === 'user')?.content;
  return Array.isArray(content) && content.some((part: ChatPart) => part.type === 'image_url');
}

/** "Must call a tool" holds until the first answer only; applied to every turn, it would keep the run from ending. */
function toolChoice(
  choice: ToolChoice,
  tools: readonly OfferedTool[],
  first: boolean,
): ModelRequest['tool_choice'] {
  const demanded = typeof choice === 'object' ? demandedTool(choice) : null;
  const isGone = demanded !== null && !tools.some((tool) => toolName(tool) === demanded);
  if (first && !isGone) return demanded === null ? choice : asOffered(choice, demanded);
  return choice === 'none' ? 'none' : 'auto';
}

/** Models are offered the hosted tools as functions. */
function asOffered(choice: ToolChoice, name: string): ToolChoice {
  const isHosted = typeof choice === 'object' && choice.type !== 'function' && choice.type !== 'custom';
  return isHosted ? { type: 'function', function: { name } } : choice;
}

/** Messages of a request as blocks; the answers to calls stay with the calls. */
function inputBlocks(input: readonly ChatMessage[]): readonly Block[] {
  const groups: ChatMessage[][] = [];
  for (const message of input) {
    const before = message.role === 'tool' ? groups.at(-1) : undefined;
    if (before === undefined) groups.push([message]);
    else before.push(message);
  }
  // Measured once the group is complete: measuring it again at each message would take quadratic time.
  return groups.map((group) =>
    // Instructions among the messages are never cut, as those before them are not.
    newBlock(withPictures(group), group[0]?.role === 'system', group.at(-1)?.role === 'user'),
  );
}

/** Tool messages cannot carry pictures, so pictures among the answers to calls follow as if the user had sent them. */
function withPictures(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  if (messages[0]?.role !== 'assistant') return messages;
  const pictures: ChatMessage[] = [];
  const answered = messages.map((message) => {
    const shown = message.role === 'tool' ? picturesIn(message.content) : null;
    if (message.role !== 'tool' || shown === null) return message;
    pictures.push({ role: 'user', content: shown.parts });
    return { ...message, content: shown.answer };
  });
  return [...answered, ...pictures];
}

function toBlocks({ run, origin }: RunState, { items, thoughts, asides }: History): readonly Block[] {
  const self: Self = { runId: run.id, thinker: thinker(run.model, origin.backend_id) };
  const blocks: Block[] = [];
  let previous: ThreadItem | null = null;
  for (const item of items) {
    // The message says what it did. Between a message and the calls of its completion it would keep them apart.
    if (item.object === 'thread.run.step' && item.step_details.type === 'message_creation') continue;
    const block = blockOf(item, self, thoughts?.get(item.id), asides?.get(item.id));
    if (block !== null) {
      const text = textBefore(previous, item);
      const before = text === null ? undefined : blocks.pop();
      blocks.push(before === undefined ? block : melt(before, block));
    }
    previous = item;
  }
  return blocks;
}

/** The message from the same completion as this tool step, if the step directly follows it; else null. */
function textBefore(previous: ThreadItem | null, item: ThreadItem): Message | null {
  if (item.object !== 'thread.run.step' || previous?.object !== 'thread.message') return null;
  return previous.run_id === item.run_id && textOf(previous) !== '' ? previous : null;
}

/** For the model, the text and calls of one completion are one assistant message. */
function melt(text: Block, calls: Block): Block {
  const [said] = text.messages;
  const [called, ...answers] = calls.messages;
  if (said?.role !== 'assistant' || called?.role !== 'assistant') return calls;
  return {
    messages: [{ ...called, content: said.content }, ...answers],
    tokens: text.tokens + calls.tokens,
    own: calls.own,
    user: false,
  };
}

/** The run that asks, and the model that it asks. */
interface Self {
  readonly runId: string;
  readonly thinker: string;
}

/** What was thought before a step, and said beside it. */
interface Beside {
  readonly thoughts: readonly KeptThought[];
  readonly asides: KeptAsides | null;
}

const NOTHING_BESIDE: Beside = { thoughts: [], asides: null };
const OF_ANOTHER: Self = { runId: '', thinker: '' };

/** Blocks of items as they are for any run but their own, with nothing beside them. */
const plainBlocks = new WeakMap<ThreadItem, Block | null>();

function plainBlock(item: ThreadItem): Block | null {
  const made = plainBlocks.get(item);
  if (made !== undefined) return made;
  const block =
    item.object === 'thread.message'
      ? messageBlock(item, false)
      : stepBlock(item, OF_ANOTHER, NOTHING_BESIDE);
  plainBlocks.set(item, block);
  return block;
}

/** What an item takes of the prompt of a later run at the least, in tokens; 0 for one that leaves nothing in it. */
export function leastTokens(item: ThreadItem): number {
  return plainBlock(item)?.tokens ?? 0;
}

function blockOf(
  item: ThreadItem,
  self: Self,
  thoughts: Beside['thoughts'] = [],
  asides: Beside['asides'] = null,
): Block | null {
  const isOwn = item.run_id === self.runId;
  if (item.object === 'thread.message') return isOwn ? messageBlock(item, true) : plainBlock(item);
  const isPlain = !isOwn && thoughts.length === 0 && asides === null;
  return isPlain ? plainBlock(item) : stepBlock(item, self, { thoughts, asides });
}

function messageBlock(message: Message, isOwn: boolean): Block | null {
  const chat = message.role === 'user' ? userMessage(message) : assistantMessage(message);
  return chat === null ? null : newBlock([chat], isOwn, message.role === 'user');
}

function userMessage(message: Message): ChatMessage | null {
  if (message.content.every((part) => part.type === 'text')) {
    return message.content.length === 0 ? null : { role: 'user', content: textOf(message) };
  }
  const parts: ChatPart[] = [];
  for (const part of message.content) {
    if (part.type === 'image_url') parts.push(part);
    else if (part.type === 'image_file') parts.push({ type: 'text', text: '[picture]' });
    // Devices send an empty text beside a photo, and several upstreams refuse empty text parts.
    else if (part.text.value !== '') parts.push({ type: 'text', text: part.text.value });
  }
  return { role: 'user', content: parts };
}

function assistantMessage(message: Message): ChatMessage | null {
  const text = textOf(message);
  if (text !== '') return { role: 'assistant', content: text };
  // Assistant messages cannot carry pictures upstream, and several servers refuse empty ones.
  return message.content.some((part) => part.type !== 'text')
    ? { role: 'assistant', content: '[picture]' }
    : null;
}

/**
 * A finished tool step as the call and its answers; null while an answer is missing, or when it never came. What was
 * thought before it and said beside it goes back within the same run, and in later runs that ask the same model at the
 * same server: some servers refuse calls without it, others refuse fields that they do not know.
 */
function stepBlock(step: RunStep, self: Self, { thoughts, asides }: Beside): Block | null {
  const calls = callsOf(step);
  if (step.status !== 'completed' || calls.length === 0) return null;
  const own = step.run_id === self.runId;
  const isFor = ({ by }: Pick<KeptThought, 'by'>): boolean => own || by === self.thinker;
  const beside: Asides = asides !== null && isFor(asides) ? asides : NO_ASIDES;
  const asked: ChatMessage = {
    ...beside.message,
    role: 'assistant',
    content: null,
    tool_calls: calls.map((call, index) => withAsides(askedCall(call), beside.calls[index])),
    ...(thoughts.every(isFor) && thoughtFields(thoughts)),
  };
  return newBlock(withPictures([asked, ...calls.map(answerMessage)]), own, false);
}

const NO_ASIDES: Asides = { message: {}, calls: {} };

function newBlock(messages: readonly ChatMessage[], own: boolean, user: boolean): Block {
  return { messages, own, user, tokens: tokensOf(messages) };
}

/** `last_messages`: only the newest `count` messages of the thread; what this run said or did always stays. */
function lastMessages(blocks: readonly Block[], count: number | null): readonly Block[] {
  if (count === null) return blocks;
  const isMessage = (block: Block): boolean =>
    !block.own && block.messages[0]?.role !== 'tool' && !isCall(block);
  let [left, first] = [count, blocks.length];
  for (let index = blocks.length - 1; index >= 0 && left > 0; index--) {
    const block = blocks[index];
    if (block === undefined || !isMessage(block)) continue;
    first = index;
    left -= 1;
  }
  return blocks.filter((block, index) => block.own || index >= first);
}

function isCall({ messages: [first] }: Block): boolean {
  return first?.role === 'assistant' && first.content === null;
}

/**
 * Cuts from the middle until the blocks fit into `room` tokens: the newest stay, and the beginning as long as it can. The
 * last user message and everything of this run stay in any case; the caller sees from the size that they do not fit.
 */
function cut(blocks: readonly Block[], room: number): readonly Block[] {
  let tokens = total(blocks);
  if (tokens <= room) return blocks;
  const lastUser = blocks.findLastIndex((block) => block.user);
  const candidates = [...blocks.keys()].filter((index) => blocks[index]?.own === false && index !== lastUser);
  const dropped = new Set<number>();
  // The beginning says what the thread is about, so it is cut last.
  for (const index of [...candidates.slice(1), ...candidates.slice(0, 1)]) {
    if (tokens <= room) break;
    dropped.add(index);
    tokens -= blocks[index]?.tokens ?? 0;
  }
  return blocks.filter((_, index) => !dropped.has(index));
}

const total = (blocks: readonly Block[]): number => blocks.reduce((sum, block) => sum + block.tokens, 0);

/**
 * What a prompt is made from, as blocks: messages that stay or go together. Each message of a thread is one, and so are the
 * calls of a completion with their answers. Pure.
 */
import { withAsides, type Asides, type KeptAsides } from './asides.ts';
import { answerCall, answerMessage, askedCall, isOpenCall, type StepCall } from './calls/kinds.ts';
import { Gathered, outputsIn, saidBy, type ItemWords } from './items.ts';
import type { ChatMessage, ChatPart } from './model.ts';
import { callsOf } from './parts.ts';
import { picturesIn } from './pictures.ts';
import { tokensOf } from './prompt-size.ts';
import type { RunState } from './run.ts';
import { thinker, thoughtFields, type KeptThought } from './thoughts.ts';
import { estimateTokens } from './tokens.ts';
import { textOf, type Message, type RunStep, type ThreadItem } from './thread.ts';

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

/**
 * Messages that stay or go together. Blocks of items that are not the run's own are made once for each item, because the next
 * turn of the same thread needs nearly all of them again.
 */
export interface Block {
  readonly messages: readonly ChatMessage[];
  readonly tokens: number;
  /** Said or done by this run itself: never cut, or the model would repeat itself. */
  readonly own: boolean;
  readonly user: boolean;
}

/** Messages of a request as blocks; the answers to calls stay with the calls. */
export function inputBlocks(input: readonly ChatMessage[]): readonly Block[] {
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

/** The thread with its tool steps, as the run sees it. */
export function toBlocks({ run, origin }: RunState, { items, thoughts, asides }: History): readonly Block[] {
  const self: Self = { runId: run.id, thinker: thinker(run.model, origin.backend_id) };
  const outputs = outputsIn(items.map((item) => (item.object === 'thread.item' ? saidBy(item) : null)));
  const gathered = new Gathered(outputs);
  const blocks: Block[] = [];
  let previous: ThreadItem | null = null;
  for (const item of items) {
    if (item.object === 'thread.item') {
      addItem(saidBy(item), gathered, blocks);
      previous = item;
      continue;
    }
    release(gathered, blocks);
    // The message says what it did. Between a message and the calls of its completion it would keep them apart.
    if (item.object === 'thread.run.step' && item.step_details.type === 'message_creation') continue;
    const beside = { thoughts: thoughts?.get(item.id) ?? [], asides: asides?.get(item.id) ?? null };
    const block = blockOf(item, self, beside, outputs);
    if (block !== null) {
      const text = textBefore(previous, item);
      const before = text === null ? undefined : blocks.pop();
      blocks.push(before === undefined ? block : melt(before, block));
    }
    previous = item;
  }
  release(gathered, blocks);
  return blocks;
}

function addItem(said: ItemWords, gathered: Gathered, blocks: Block[]): void {
  if (gathered.take(said)) return;
  release(gathered, blocks);
  if (gathered.take(said)) return;
  if (said?.type === 'summary') blocks.length = 0;
  if (said?.type !== 'message' && said?.type !== 'summary') return;
  const { message } = said;
  // Instructions among the messages are never cut, as those before them are not.
  blocks.push(newBlock([message], message.role === 'system', message.role === 'user'));
}

/** Adds the calls that were gathered; they join the words of their completion, where those stand last. */
function release(gathered: Gathered, blocks: Block[]): void {
  const last = blocks.at(-1);
  const before = last?.messages.length === 1 && !last.own ? [...last.messages] : [];
  const isAlone = before.length === 0;
  const made = gathered.release(before);
  if (made.length === 0) return;
  if (!isAlone && before.length === 0) blocks.pop();
  blocks.push(newBlock(withPictures(made), false, false));
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
/** Outputs by the ids of their calls. */
type OutputsByCall = ReadonlyMap<string, string>;
const NO_OUTPUTS: OutputsByCall = new Map();
const OF_ANOTHER: Self = { runId: '', thinker: '' };

/** Blocks of items as they are for any run but their own, with nothing beside them. */
const plainBlocks = new WeakMap<ThreadItem, Block | null>();

function plainBlock(item: ThreadItem): Block | null {
  const made = plainBlocks.get(item);
  if (made !== undefined) return made;
  const block = madePlain(item);
  plainBlocks.set(item, block);
  return block;
}

function madePlain(item: ThreadItem): Block | null {
  if (item.object === 'thread.message') return messageBlock(item, false);
  if (item.object === 'thread.run.step') return stepBlock(item, OF_ANOTHER, NOTHING_BESIDE, NO_OUTPUTS);
  // Only its size counts: calls and their outputs are put together with what stands beside them.
  return { messages: [], own: false, user: false, tokens: estimateTokens(JSON.stringify(item.item)) };
}

/** What an item takes of the prompt of a later run at the least, in tokens; 0 for one that leaves nothing in it. */
export function leastTokens(item: ThreadItem): number {
  return plainBlock(item)?.tokens ?? 0;
}

function blockOf(item: Message | RunStep, self: Self, beside: Beside, outputs: OutputsByCall): Block | null {
  const isOwn = item.run_id === self.runId;
  if (item.object === 'thread.message') return isOwn ? messageBlock(item, true) : plainBlock(item);
  const isPlain = !isOwn && beside.thoughts.length === 0 && beside.asides === null && !isLeft(item);
  return isPlain ? plainBlock(item) : stepBlock(item, self, beside, outputs);
}

/** Whether calls were left for others to answer. */
function isLeft(step: RunStep): boolean {
  return step.status === 'completed' && callsOf(step).some(isOpenCall);
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
function stepBlock(
  step: RunStep,
  self: Self,
  { thoughts, asides }: Beside,
  outputs: OutputsByCall,
): Block | null {
  // A call that was approved is made in a step of its own, and one that nobody has decided about was never made.
  const calls = callsOf(step)
    .filter((call) => call.type !== 'approval' || call.approval.decision?.approve === false)
    .map((call) => answeredBy(call, outputs));
  if (step.status !== 'completed' || calls.length === 0 || calls.some(isOpenCall)) return null;
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

/** A call that was left open, with the output that came for it later. */
function answeredBy(call: StepCall, outputs: OutputsByCall): StepCall {
  const output = isOpenCall(call) ? outputs.get(call.id) : undefined;
  return output === undefined ? call : answerCall(call, output);
}

const NO_ASIDES: Asides = { message: {}, calls: {} };

function newBlock(messages: readonly ChatMessage[], own: boolean, user: boolean): Block {
  return { messages, own, user, tokens: tokensOf(messages) };
}

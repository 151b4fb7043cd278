/**
 * The next request to the model: the thread and the run's own steps as chat messages, cut to what fits, with the run's
 * settings. Pure. Truncation leaves out whole blocks only, so a tool answer never loses its call.
 */
import { inputBlocks, toBlocks, type Block, type History } from './blocks.ts';
import { demandedTool, offeredTools, toolName } from './calls/kinds.ts';
import { type RunState } from './run.ts';
import { toolCallsLeft } from './tool-limit.ts';
import { schemaTokens, tokensOf } from './prompt-size.ts';
import type { OfferedTool, ToolChoice } from './thread.ts';
import type { ChatMessage, ChatPart, ModelRequest } from './model.ts';

/** A request, with an estimate of its size in tokens; or why there is none. */
export type Prompt =
  | { readonly type: 'ask'; readonly request: ModelRequest; readonly estimatedTokens: number }
  /** What must not be cut does not fit; sizes in tokens, as we estimate them. */
  | { readonly type: 'too long'; readonly estimatedTokens: number; readonly roomTokens: number }
  | { readonly type: 'exhausted'; readonly reason: 'max_prompt_tokens' | 'max_completion_tokens' };

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
  const declared = offeredTools(run.tools).filter((tool) => !isUsedUp(tool, state, history));
  const fixedTokens = systemTokens + schemaTokens(declared, run.response_format);
  const room = Math.min(promptLeft ?? Infinity, contextTokens) - fixedTokens;
  const all = [...inputBlocks(history.input), ...toBlocks(state, history)];
  if (state.origin.uncut === true && total(all) > room)
    return { type: 'too long', estimatedTokens: fixedTokens + total(all), roomTokens: contextTokens };
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

/** Tools of the server are offered as long as the run may call more of them. */
function isUsedUp(tool: OfferedTool, state: RunState, { items }: History): boolean {
  const { run, origin } = state;
  const name = toolName(tool);
  // The hosted tools are offered under the names of their types.
  const isServers = origin.server_tools.includes(name) || run.tools.some(({ type }) => type === name);
  return isServers && toolCallsLeft(state, items) <= 0;
}

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

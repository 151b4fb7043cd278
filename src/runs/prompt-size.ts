/** What a request to the model takes of its context, as we estimate it. Pure. */
import { calledFunction } from './calls/kinds.ts';
import type { ChatMessage, ChatPart, ModelRequest } from './model.ts';
import { thoughtText } from './thoughts.ts';
import type { OfferedTool, ResponseFormat } from './thread.ts';
import { estimateTokens } from './tokens.ts';

const MESSAGE_TOKENS = 4;
/** What a 1024 × 1024 picture costs at high detail. */
const IMAGE_TOKENS = 765;
/** Room kept for an answer whose length nobody limits: this much, but no larger share of the context. */
const ANSWER_TOKENS = 4_096;
const ANSWER_SHARE = 1 / 4;
/** However long an answer may become, the prompt has this share. */
const PROMPT_SHARE = 1 / 2;

/** The whole request: messages, tools and the schema of the answer. */
export function estimateRequest({
  messages,
  tools,
  response_format,
}: Pick<ModelRequest, 'messages' | 'tools' | 'response_format'>): number {
  return tokensOf(messages) + schemaTokens(tools, response_format);
}

export function tokensOf(messages: readonly ChatMessage[]): number {
  let tokens = 0;
  for (const message of messages) {
    tokens += MESSAGE_TOKENS;
    if (message.role !== 'tool' && message.name !== undefined) tokens += estimateTokens(message.name);
    if (typeof message.content === 'string') tokens += estimateTokens(message.content);
    else for (const part of message.content ?? []) tokens += partTokens(part);
    if (message.role === 'assistant') {
      tokens += estimateTokens(thoughtText(message));
      for (const call of message.tool_calls ?? []) {
        const { name, arguments: text } = calledFunction(call);
        tokens += estimateTokens(name + text);
      }
    }
  }
  return tokens;
}

/** What sounds, videos and files cost depends on the server; a guess is better than their length as base64. */
const partTokens = (part: ChatPart): number =>
  part.type === 'text' ? estimateTokens(part.text) : IMAGE_TOKENS;

/** The declarations of tools and the schema of the answer: servers write both into the prompt. */
export function schemaTokens(tools: readonly OfferedTool[], format: ResponseFormat): number {
  const declared = tools.reduce((sum, tool) => sum + MESSAGE_TOKENS + declarationTokens(tool), 0);
  return declared + (format === 'auto' ? 0 : estimateTokens(JSON.stringify(format)));
}

function declarationTokens(tool: OfferedTool): number {
  const { name, description = '' } = tool.type === 'custom' ? tool.custom : tool.function;
  const form = tool.type === 'custom' ? tool.custom.format : tool.function.parameters;
  return estimateTokens(name + description) + estimateTokens(JSON.stringify(form) ?? '');
}

/** The room of a context that is kept for the answer. `limit`: the most tokens that it may have; null where nobody set it. */
export function answerRoom(contextTokens: number, limit: number | null): number {
  if (limit === null) return Math.min(ANSWER_TOKENS, Math.floor(contextTokens * ANSWER_SHARE));
  return Math.min(limit, Math.floor(contextTokens * PROMPT_SHARE));
}

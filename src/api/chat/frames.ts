/**
 * The chat dialect: `/chat/completions` as OpenAI speaks it, streaming or not. Calls of the caller's tools come in one
 * chunk together with their finish reason, each with its arguments under both names that devices read; SDKs and devices
 * both accept that.
 */
import { ApiError, retryAfter } from '../../errors.ts';
import { calledFunction } from '../../runs/calls/kinds.ts';
import type { ChatCall } from '../../runs/model.ts';
import type { Annotation, RequiredCall, Usage } from '../../runs/thread.ts';
import type { Audible, TurnError } from '../../turns/turn-events.ts';

export interface ChatReply {
  readonly id: string;
  readonly created: number;
  /** Echoed as the caller named it. */
  readonly model: string;
  readonly includeUsage: boolean;
  /** For devices that speak whatever they get: a failure or an empty answer becomes words. Null: failures are errors. */
  readonly apology: string | null;
}

const DONE = 'data: [DONE]\n\n';

/** How a stream ends that a fault of ours breaks off. */
export const BROKEN_OFF =
  frame(new ApiError(500, 'The answer broke off. Ask again.', { type: 'server_error' }).body) + DONE;

/** The answer as chunks. */
export async function* chatFrames(
  events: AsyncIterable<Audible>,
  reply: ChatReply,
): AsyncGenerator<string, void> {
  let begun = false;
  const chunk = (delta: Record<string, unknown>, finish_reason: string | null): string => {
    const role = begun ? {} : { role: 'assistant' };
    begun = true;
    return frame({
      ...head(reply, 'chat.completion.chunk'),
      choices: [{ index: 0, delta: { ...role, ...delta }, logprobs: null, finish_reason }],
      ...(reply.includeUsage && { usage: null }),
    });
  };
  const end = (usage: Usage): string => {
    const last = { ...head(reply, 'chat.completion.chunk'), choices: [], usage: wireUsage(usage) };
    return (reply.includeUsage ? frame(last) : '') + DONE;
  };
  for await (const event of events) {
    switch (event.type) {
      case 'text':
        yield chunk({ content: event.text, ...annotated(event.annotations) }, null);
        break;
      case 'thought':
        yield chunk({ reasoning_content: event.text }, null);
        break;
      case 'thought.dropped':
        // They stand where they were said; no part of the answer.
        break;
      case 'calls':
        yield (
          chunk({ content: null, tool_calls: event.calls.map(deviceCall) }, 'tool_calls') + end(event.usage)
        );
        return;
      case 'end':
        // Whoever asked by voice would think that nobody has heard. Such devices hear no thoughts.
        if (!begun && reply.apology !== null) yield chunk({ content: reply.apology }, null);
        yield chunk({}, event.reason) + end(event.usage);
        return;
      // A stream has no word for "forget that".
      case 'dropped':
      case 'failed':
        if (reply.apology === null) yield frame(errorOf(event).body) + DONE;
        else yield chunk({ content: reply.apology }, null) + chunk({}, 'stop') + DONE;
        return;
    }
  }
}

/** The answer as one object. @throws {ApiError} when the run failed and no apology is wanted. */
export async function chatObject(events: AsyncIterable<Audible>, reply: ChatReply): Promise<unknown> {
  let text = '';
  let marks: readonly Annotation[] = [];
  let thoughts = '';
  const whole = (message: Record<string, unknown>, finish_reason: string, usage: Usage | null): unknown => ({
    ...head(reply, 'chat.completion'),
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          refusal: null,
          ...message,
          ...(thoughts !== '' && { reasoning_content: thoughts }),
          ...annotated(marks),
        },
        logprobs: null,
        finish_reason,
      },
    ],
    usage: usage === null ? null : wireUsage(usage),
  });
  for await (const event of events) {
    switch (event.type) {
      case 'text':
        text += event.text;
        marks = [...marks, ...(event.annotations ?? [])];
        break;
      case 'thought':
        thoughts += event.text;
        break;
      case 'thought.dropped':
        thoughts = thoughts.slice(0, thoughts.length - event.text.length);
        break;
      case 'dropped':
        // Nothing of it has left this process.
        text = text.slice(0, text.length - event.text.length);
        marks = marksBefore(marks, text.length);
        break;
      case 'calls': {
        const content = text === '' ? null : text;
        const tool_calls = event.calls.map(toolCall);
        return whole({ content, tool_calls }, 'tool_calls', event.usage);
      }
      case 'end':
        return whole({ content: text || (reply.apology ?? '') }, event.reason, event.usage);
      case 'failed':
        if (reply.apology === null) throw errorOf(event);
        return whole({ content: reply.apology }, 'stop', null);
    }
  }
  // The client has gone: nobody reads this.
  return whole({ content: text }, 'stop', null);
}

interface FailedTurn {
  readonly error: TurnError;
  readonly retryAfterMs?: number | undefined;
}

/** A failed run as the error a chat client knows. Trying again is the caller's decision: the upstream was retried. */
export function errorOf({ error: { code, message }, retryAfterMs }: FailedTurn): ApiError {
  const headers = {
    'x-should-retry': 'false',
    ...(retryAfterMs !== undefined && retryAfter(retryAfterMs)),
  };
  switch (code) {
    case 'rate_limit_exceeded':
      return new ApiError(429, message, { type: 'rate_limit_error', code, headers });
    case 'invalid_prompt':
    case 'cancelled':
      // Clients try a 5xx again, and would interrupt the very turn that theirs was interrupted for.
      return new ApiError(400, message, { code, headers });
    case 'server_error':
      return new ApiError(502, message, { type: 'server_error', code: 'upstream_error', headers });
  }
}

function head({ id, created, model }: ChatReply, object: string): Record<string, unknown> {
  return { id, object, created, model, system_fingerprint: 'fp_longrun' };
}

function toolCall(call: RequiredCall): ChatCall {
  return { id: call.id, type: 'function', function: calledFunction(call) };
}

/** The key of a message or delta, where there are annotations; OpenAI's own ones are those of pages. */
function annotated(marks: readonly Annotation[] = []): { readonly annotations?: readonly object[] } {
  return marks.length === 0 ? {} : { annotations: marks.map(chatAnnotation) };
}

function marksBefore(marks: readonly Annotation[], length: number): readonly Annotation[] {
  return marks.filter((mark) => mark.start_index < length);
}

function chatAnnotation(mark: Annotation): object {
  if (mark.type !== 'url_citation') return mark;
  const { type, start_index, end_index, url_citation: page } = mark;
  return { type, url_citation: { start_index, end_index, ...page } };
}

/** Glasses read `parameters`, everybody else `arguments`. */
function deviceCall(call: RequiredCall, index: number): unknown {
  const { id, type, function: called } = toolCall(call);
  return { index, id, type, function: { ...called, parameters: called.arguments } };
}

function wireUsage({
  prompt_tokens,
  completion_tokens,
  total_tokens,
  prompt_token_details,
  completion_tokens_details,
}: Usage): unknown {
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens,
    prompt_tokens_details: prompt_token_details,
    completion_tokens_details,
  };
}

function frame(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

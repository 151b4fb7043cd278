/**
 * The protocol between a tool's process and its owner: one JSON object per line, over pipes used for nothing else. The
 * process holds code that is not ours, so its events are checked, and only those that may come at that moment are accepted.
 */
import { z } from 'zod';
import { extentOf, MAX_JSON_DEPTH } from '../../runs/json-extent.ts';
import type { ToolCall } from '../../runs/tool.ts';
import { descriptionSchema, MAX_OUTPUT_BYTES } from '../definition.ts';

/** The file descriptors of the process for requests and for events. */
export const REQUESTS_FD = 3;
export const EVENTS_FD = 4;

/** What one request may write to the log. */
export const MAX_LOG_LINES = 20;
export const MAX_FIELDS_CHARACTERS = 2_000;

/** An answer, and the event around it. */
export const MAX_EVENT_BYTES = MAX_OUTPUT_BYTES + 64 * 1024;
/** An answer's depth, and the levels of the event around it. */
const MAX_EVENT_DEPTH = MAX_JSON_DEPTH + 3;

const nonce = z.string();

/** The first request: import the tool's file and describe the tool. */
const loadSchema = z.object({
  /** Every event about this request carries it. */
  nonce,
  type: z.literal('load'),
  file: z.string(),
  /** The mark by which the processes that this one starts are found. */
  mark: z.string().min(1),
});

const record = z.record(z.string(), z.unknown());

/** One call of the tool. */
const callSchema = z.object({
  nonce,
  type: z.literal('call'),
  args: z.unknown(),
  call: z.object({
    project: z.string(),
    runId: z.string().nullable(),
    threadId: z.string(),
    assistantId: z.string().nullable(),
    callId: z.string().nullable(),
    extras: record,
    secrets: z.record(z.string(), z.string()),
  }) satisfies z.ZodType<ToolCall>,
  settings: record,
  /** After this the tool's signal is aborted; soon after, its process is ended. */
  timeoutMs: z.number(),
  maxOutputBytes: z.number(),
  /** Hosts that the operator has allowed tools to reach. */
  allowHosts: z.array(z.string()).readonly(),
});

const requestSchema = z.discriminatedUnion('type', [loadSchema, callSchema]);

export type LoadRequest = z.infer<typeof loadSchema>;
export type CallRequest = z.infer<typeof callSchema>;
/** One at a time; the next is sent when the process has said `ready`. */
export type ToolRequest = z.infer<typeof requestSchema>;

/** The request of a line that the owner wrote. */
export function readRequest(line: string): ToolRequest {
  return requestSchema.parse(JSON.parse(line));
}

const outcomeSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('described'), description: descriptionSchema }),
  z.object({ type: z.literal('answered'), value: z.unknown() }),
  z.object({ type: z.enum(['arguments', 'refused']), message: z.string() }),
  z.object({ type: z.literal('failed'), message: z.string(), stack: z.string() }),
]);

/** How a request ended. `arguments` and `refused` have words for the model, `failed` has words for the log. */
export type Outcome = z.infer<typeof outcomeSchema>;

const eventSchema = z.discriminatedUnion('type', [
  /** The process is up and has received the request: the tool's time runs from here. */
  z.object({ nonce, type: z.literal('started') }),
  z.object({
    nonce,
    type: z.literal('log'),
    level: z.enum(['info', 'warn']),
    fields: record,
    message: z.string(),
  }),
  z.object({ nonce, type: z.literal('settled'), outcome: outcomeSchema }),
  /** Nothing that the request has started is left. A spent process must get no further request and has to be ended. */
  z.object({ nonce, type: z.literal('ready'), isSpent: z.boolean() }),
]);

/** An event that the process sends while it works. */
export type ToolEvent = z.infer<typeof eventSchema>;

/** The event of a line; null when the line is not an event. */
export function readEvent(line: string): ToolEvent | null {
  if (extentOf(line).depth > MAX_EVENT_DEPTH) return null;
  try {
    return eventSchema.parse(JSON.parse(line));
  } catch {
    return null;
  }
}

/**
 * A tool that the service itself can run, as its file defines it and as a run calls it. What loads, isolates and limits
 * tools is the toolbox; nothing here does anything.
 */
import type { z } from 'zod';

/** A JSON Schema, as models are told a function's parameters. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * As the global `fetch`, but guarded: only http(s) to public addresses and to hosts that the operator has allowed, also
 * behind names and redirects, within limits of size and time. A request that is refused, too slow or too big rejects with
 * an error whose message may be shown to a model.
 */
export type ToolFetch = (url: string | URL, init?: ToolFetchInit) => Promise<Response>;

/** Limits for one request; each can only be made narrower than the guard's own. */
export interface ToolFetchInit extends RequestInit {
  /** The whole exchange, redirects and body included. */
  readonly timeoutMs?: number;
  /** Of the answer's body, after decompression. Reading beyond rejects. */
  readonly maxBytes?: number;
}

/** A few lines for the operator. Ids, sizes and times, never what people say. */
export interface ToolLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** Which call a tool answers, and what came along with it. Plain data. */
export interface ToolCall {
  /** Whom the tool answers: `default`, or a digest of the caller's key. It tells projects apart and reveals no key. */
  readonly project: string;
  /** Null when a client asks for the tool outside of any run. */
  readonly runId: string | null;
  /** Empty when a client asks outside of any thread. */
  readonly threadId: string;
  readonly assistantId: string | null;
  /** The pending call of a run that this answers, when there is one: the key for tools that must not act twice. */
  readonly callId: string | null;
  /** What the caller sent along that is nobody's parameter: a device's location, an engine's channel. */
  readonly extras: Readonly<Record<string, unknown>>;
  /** Sensitive variables of the request: never said to the model, logged or stored in clear. */
  readonly secrets: Readonly<Record<string, string>>;
}

/** What a tool may know about the call it answers, and the means it is given. */
export interface ToolContext extends ToolCall {
  /** What the operator has configured for this tool, keys of foreign services included. The environment is not there. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly fetch: ToolFetch;
  readonly log: ToolLog;
  /** How long this call may take. */
  readonly timeoutMs: number;
  /** Aborted when the tool's time is over or nobody waits for its answer any more. */
  readonly signal: AbortSignal;
}

/** The arguments did not fit the tool's schema: said to the model as the tool's output, in words it can act on. */
export class ToolArgumentError extends Error {
  override readonly name = 'ToolArgumentError';
}

/** The tool could not do it, for a reason that the model should read: said to it as the tool's output. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
}

/** Who answers the calls of a tool: a worker, or the device that the caller holds. */
export type AnsweredBy = 'worker' | 'device';

/** What a tool's file exports as its default. */
export interface ToolDefinition<Schema extends z.ZodType = z.ZodType> {
  /** The function name a model calls it by: letters, digits, `_` and `-`, at most 64. */
  readonly name: string;
  /** What it does and when to use it, for the model. */
  readonly description: string;
  /** Its arguments, an object. Described fields are described to the model. */
  readonly parameters: Schema;
  /** How long one call may take. Default 10,000. */
  readonly timeoutMs?: number;
  /** A bigger answer is refused. Default 256 KiB. */
  readonly maxOutputBytes?: number;
  /** The same arguments get the same answer for this long, for every caller of the project. Default: never. */
  readonly cacheS?: number;
  /**
   * Default true: it runs in a process of its own kind, which is ended when it overstays. False is for tools that do
   * nothing but wait for the network: it runs inside the worker, and a loop in it would stop every run there.
   */
  readonly isolated?: boolean;
  /**
   * Default `worker`. `device` is for what only the caller can do: its calls always go out to the caller, and `run` says
   * how to answer them.
   */
  readonly answeredBy?: AnsweredBy;
  /**
   * Answers one call with any JSON value.
   * @throws {ToolError} for reasons that the model should read; of any other error it only learns that there was one.
   */
  run(args: z.output<Schema>, context: ToolContext): unknown;
}

/** Gives a tool's `run` the types of its `parameters`. */
export function defineTool<Schema extends z.ZodType>(
  definition: ToolDefinition<Schema>,
): ToolDefinition<Schema> {
  return definition;
}

/** A tool that can be called, wherever it comes from. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly parameters: JsonSchema;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  readonly cacheS: number;
  readonly answeredBy: AnsweredBy;
  /** What a call may take beyond `timeoutMs` because it has to wait for its turn first. */
  readonly waitMs: number;
  /**
   * Answers one call. `args` is whatever JSON the model wrote, within bounds, or its text when it is no JSON.
   * @throws {ToolArgumentError} when `args` does not fit.
   * @throws {ToolError} for reasons that the model should read.
   */
  run(args: unknown, context: ToolContext): Promise<unknown>;
}

/** Whether a source of tools can be used now; since when not (unix seconds), and why, for operators. */
export type SourceHealth =
  | { readonly status: 'ok' }
  | { readonly status: 'unavailable'; readonly since: number; readonly reason: string };

/** A tool as `GET /plugins` shows it. */
export interface Plugin {
  readonly tool: Tool;
  readonly source: ToolSource;
}

/** The tools this process has, from all sources. What it has may change from call to call. */
export interface Plugins {
  /** Whether a worker can answer calls of `name`. */
  answers(name: string): boolean;
  find(name: string): Tool | null;
  list(): readonly Plugin[];
  /** All sources, those without a tool included. */
  sources(): readonly ToolSource[];
}

/** Where tools come from: a folder, an OpenAPI document, an MCP server. Its tools may change while it is used. */
export interface ToolSource {
  readonly type: 'built_in' | 'file' | 'openapi' | 'mcp';
  /** A folder, the address of a document, or a server's name in the configuration; never a secret. */
  readonly from: string;
  tools(): readonly Tool[];
  health(): SourceHealth;
  close(): Promise<void>;
}

/**
 * Runs one call to its end and answers with JSON for the model, errors included.
 * @param written the arguments as they were written, JSON or not: unread, because reading them is bounded in one place
 * @throws the signal's reason when aborted, and nothing else.
 */
export type RunTool = (
  name: string,
  written: string,
  call: ToolCall,
  signal: AbortSignal,
) => Promise<unknown>;

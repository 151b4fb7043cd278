/**
 * A tool that the service itself can run, as its file defines it and as a run calls it. The toolbox loads, isolates and
 * limits tools; this file only defines types.
 */
import type { z } from 'zod';

/** A JSON Schema, as models are told a function's parameters. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * As the global `fetch`, but guarded: only http(s), only to public addresses and to hosts that the operator has allowed
 * (names and redirects are checked, too), within limits of size and time. A request that is refused, too slow or too
 * big rejects with an error whose message a model may read.
 */
export type ToolFetch = (url: string | URL, init?: ToolFetchInit) => Promise<Response>;

/** Limits for one request; each can only narrow the guard's own. */
export interface ToolFetchInit extends RequestInit {
  /** The whole exchange, redirects and body included. */
  readonly timeoutMs?: number;
  /** Of the answer's body, after decompression. Reading beyond rejects. */
  readonly maxBytes?: number;
}

/** A few lines for the operator. Ids, sizes and times only, never what people say. */
export interface ToolLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** The call that a tool answers, and what came with it. Plain data. */
export interface ToolCall {
  /** The project that calls: `default`, or a digest of the caller's key. It tells projects apart and reveals no key. */
  readonly project: string;
  /** Null when a client asks for the tool outside of any run. */
  readonly runId: string | null;
  /** Empty when a client asks outside of any thread. */
  readonly threadId: string;
  readonly assistantId: string | null;
  /** The run's pending call that this answers, if there is one. Tools that must not act twice use it as their key. */
  readonly callId: string | null;
  /** Fields of the request that are no parameters of ours: a device's location, an engine's channel. */
  readonly extras: Readonly<Record<string, unknown>>;
  /** Sensitive variables of the request: never shown to the model, logged, or stored in clear. */
  readonly secrets: Readonly<Record<string, string>>;
}

/** What a tool may know about the call it answers, and the means it is given. */
export interface ToolContext extends ToolCall {
  /**
   * What the operator has configured for this tool, keys of foreign services included. Environment variables are not in it.
   */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly fetch: ToolFetch;
  readonly log: ToolLog;
  /** How long this call may take. */
  readonly timeoutMs: number;
  /** Aborted when the tool's time is over, or when the run or request that made the call has stopped waiting. */
  readonly signal: AbortSignal;
}

/**
 * The arguments did not fit the tool's schema. The message becomes the tool's output, so that the model can correct them.
 */
export class ToolArgumentError extends Error {
  override readonly name = 'ToolArgumentError';
}

/** The tool could not do it, for a reason that the model should read. The message becomes the tool's output. */
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
   * Default true: the tool runs in a process of its own, which is ended when the call takes too long. False is for tools
   * that only wait for the network: such a tool runs inside the worker, and a loop in it would stop every run there.
   */
  readonly isolated?: boolean;
  /**
   * Default `worker`. `device` is for what only the caller's device can do: its calls always go out to the caller, and
   * `run` says how to answer them.
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
  /** How much longer than `timeoutMs` a call may take, because it may have to wait for its turn. */
  readonly waitMs: number;
  /**
   * Answers one call. `args` is the JSON that the model wrote, within bounds, or its text when it is not JSON.
   * @throws {ToolArgumentError} when `args` does not fit.
   * @throws {ToolError} for reasons that the model should read.
   */
  run(args: unknown, context: ToolContext): Promise<unknown>;
}

/** Whether a source of tools can be used now; if not, since when (unix seconds) and why, for operators. */
export type SourceHealth =
  | { readonly status: 'ok' }
  | { readonly status: 'unavailable'; readonly since: number; readonly reason: string };

/** A tool as `GET /plugins` shows it. */
export interface Plugin {
  readonly tool: Tool;
  readonly source: ToolSource;
}

/** The tools this process has, from all sources. They may change from call to call. */
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
 * @param written the arguments as they were written, JSON or not; they are read in one place only, which bounds them
 * @throws the signal's reason when aborted, and nothing else.
 */
export type RunTool = (
  name: string,
  written: string,
  call: ToolCall,
  signal: AbortSignal,
) => Promise<unknown>;

/** A tool that the service itself can run. Each one is a file in src/tools; the registry there loads them. */

/** What a tool may know about the call it answers, and the means it is given. */
export interface ToolContext {
  readonly threadId: string;
  readonly assistantId: string | null;
  /** The pending call of a run that this answers, when there is one: the key for tools that must not act twice. */
  readonly callId: string | null;
  /** What the caller sent along that is nobody's parameter: a device's location, an engine's channel. */
  readonly extras: Readonly<Record<string, unknown>>;
  /** Sensitive variables of the request: never said to the model, logged or stored in clear. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Aborted when the tool's time is over or nobody waits for its answer any more. */
  readonly signal: AbortSignal;
}

/** The arguments did not fit the tool's schema: said to the model as the tool's output, in words it can act on. */
export class ToolArgumentError extends Error {
  override readonly name = 'ToolArgumentError';
}

export interface Tool {
  /** The function name a model calls it by: letters, digits, `_` and `-`, at most 64. */
  readonly name: string;
  readonly description: string;
  /** How long one call may take. */
  readonly timeoutMs: number;
  /**
   * Answers one call. `args` is whatever JSON the model wrote; the tool checks it.
   * @returns any JSON value; the caller writes and cuts it.
   * @throws {ToolArgumentError} when `args` does not fit.
   */
  run(args: unknown, context: ToolContext): Promise<unknown>;
}

/**
 * Runs one call to its end and answers with JSON for the model, errors included.
 * @param args whatever JSON the model wrote
 * @throws the signal's reason when aborted, and nothing else.
 */
export type RunTool = (
  name: string,
  args: unknown,
  context: Omit<ToolContext, 'signal'>,
  signal: AbortSignal,
) => Promise<unknown>;

/** The tools this process can run, by name. */
export type Toolbox = ReadonlyMap<string, Tool>;

/** Runs one call of a tool to its end, whatever the tool does. A failure is an answer as well, for the model to read. */
import { hash } from 'node:crypto';
import type { Logger } from '../log.ts';
import {
  ToolArgumentError,
  ToolError,
  type RunTool,
  type Tool,
  type ToolCall,
  type ToolContext,
  type ToolFetch,
} from '../runs/tool.ts';
import { readArguments } from './arguments.ts';
import { checkedOutput } from './output.ts';
import type { Toolbox } from './toolbox.ts';

/** Earlier answers of tools to a project, as JSON. Keys are digests. */
export interface AnswerCache {
  /** Null when there is none, and when the cache cannot be reached. */
  get(project: string, key: string): Promise<string | null>;
  set(project: string, key: string, answer: string, keptS: number): Promise<void>;
}

export interface RunnerOptions {
  readonly toolbox: Toolbox;
  readonly cache: AnswerCache;
  /** The guarded fetch of the tool of this name. */
  readonly fetchOf: (name: string) => ToolFetch;
  readonly log: Logger;
}

type CallOutcome = 'answered' | 'cached' | FailedCall;
type FailedCall = 'wrong arguments' | 'refused' | 'too late' | 'failed';

/** The debug log needs only the beginning of a foreign server's words; a model needs little more. */
const MAX_LOGGED_CHARACTERS = 200;
const MAX_REASON_CHARACTERS = 8_000;

/** Makes the function by which this process runs its tools. It throws only when the caller aborts. */
export function toolRunner({ toolbox, cache, fetchOf, log }: RunnerOptions): RunTool {
  const run = callRunner(cache, log);
  return async (name, written, call, signal) => {
    // The caller no longer wants the answer, so the tool must not act.
    signal.throwIfAborted();
    const tool = toolbox.find(name);
    if (tool === null) return noTool(name);
    const { settings } = toolbox.choice(name);
    return run({ tool, settings, fetch: fetchOf(name) }, written, call, signal);
  };
}

/** The answer to a call of a tool that is not there any more. */
export const noTool = (name: string): unknown => failed(`There is no tool '${name}' now. Go on without it.`);

/** A tool, and the means it is given. */
type Equipped = Pick<ToolContext, 'settings' | 'fetch'> & { readonly tool: Tool };

type RunEquipped = (
  equipped: Equipped,
  written: string,
  call: ToolCall,
  signal: AbortSignal,
) => Promise<unknown>;

/** Runs one call of any tool. It throws only when the caller aborts. */
export function callRunner(cache: AnswerCache, log: Logger): RunEquipped {
  return async ({ tool, settings, fetch }, written, call, signal) => {
    const { name } = tool;
    signal.throwIfAborted();
    const startedMs = performance.now();
    const logged = log.child({
      tool: name,
      run_id: call.runId,
      thread_id: call.threadId,
      call_id: call.callId,
    });
    const ended = (outcome: CallOutcome, fields = {}): void => {
      // For the model a failure is an answer; for the operator it is a warning.
      const level = outcome === 'answered' || outcome === 'cached' ? 'info' : 'warn';
      logged[level]({ outcome, ms: Math.round(performance.now() - startedMs), ...fields }, 'tool call');
    };

    const refused = (reason: string, outcome: FailedCall = 'refused'): unknown => {
      // Not the reason: it holds what tools and their services said, and perhaps with it what they were asked.
      const [, status] = /^HTTP (\d{3})\b/.exec(reason) ?? [];
      ended(outcome, status === undefined ? {} : { status: Number(status) });
      logged.debug({ reason: reason.slice(0, MAX_LOGGED_CHARACTERS) }, 'tool call failed');
      return failed(reason);
    };

    const timeUp = AbortSignal.timeout(tool.timeoutMs + tool.waitMs);
    const context = {
      ...call,
      settings,
      fetch,
      log: logged,
      timeoutMs: tool.timeoutMs,
      signal: AbortSignal.any([signal, timeUp]),
    };
    let isJson = true;
    try {
      const args = readArguments(written);
      // No JSON text is its own value.
      isJson = args !== written;
      // An answer to a request with secrets is for its caller alone.
      const isShared = tool.cacheS > 0 && Object.keys(call.secrets).length === 0;
      const key = isShared ? hash('sha256', JSON.stringify([name, args])) : null;
      const known = key === null ? null : await cache.get(call.project, key);
      if (known !== null) {
        ended('cached');
        const value: unknown = JSON.parse(known);
        return value;
      }
      logged.debug('tool call begins');
      const value = checkedOutput(await answer(tool, args, context), tool.maxOutputBytes);
      if (key !== null) await cache.set(call.project, key, JSON.stringify(value), tool.cacheS);
      ended('answered');
      return value;
    } catch (error) {
      signal.throwIfAborted();
      if (timeUp.aborted)
        return refused(`${name} did not answer within ${tool.timeoutMs / 1000} s.`, 'too late');
      if (error instanceof ToolError) return refused(error.message);
      // Such an error quotes the arguments, and logs must not hold what people say.
      const isArguments = error instanceof ToolArgumentError;
      ended(isArguments ? 'wrong arguments' : 'failed', isArguments ? {} : { at: placeOf(error) });
      logged.debug({ err: error }, 'tool call failed');
      if (!isArguments) return failed(`${name} failed. Go on without it.`);
      return failed(isJson ? error.message : `The arguments are not JSON. ${error.message}`);
    }
  };
}

const failed = (reason: string): unknown => ({
  error: reason.slice(0, MAX_REASON_CHARACTERS).toWellFormed(),
});

/** The kind of error that a tool threw, and where. Not its message, which may quote the arguments. */
function placeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const frames = error.stack?.match(/^ {4}at .*$/gm) ?? [];
  return [error.name, ...frames].join('\n');
}

/** The tool's answer; rejects as soon as the signal is aborted, because not every tool heeds it. */
async function answer(tool: Tool, args: unknown, context: Parameters<Tool['run']>[1]): Promise<unknown> {
  const { signal } = context;
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([tool.run(args, context), aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

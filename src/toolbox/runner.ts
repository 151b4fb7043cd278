/** Runs one call of a tool to its end, whatever the tool does: what goes wrong is an answer too, for the model to read. */
import { hash } from 'node:crypto';
import type { Logger } from '../log.ts';
import { ToolArgumentError, ToolError, type RunTool, type Tool, type ToolFetch } from '../runs/tool.ts';
import { readArguments } from './arguments.ts';
import { checkedOutput } from './output.ts';
import type { Toolbox } from './toolbox.ts';

/** Answers that tools have given a project before, as JSON. Keys are digests. */
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

/** Whoever looks for a fault at debug needs only the beginning of a foreign server's words; a model not much more. */
const MAX_LOGGED_CHARACTERS = 200;
const MAX_REASON_CHARACTERS = 8_000;

/** How this process runs its tools. Answers never throw, except by the caller's own abort. */
export function toolRunner({ toolbox, cache, fetchOf, log }: RunnerOptions): RunTool {
  return async (name, written, call, signal) => {
    // Nobody wants it any more; begun, it would act for nothing.
    signal.throwIfAborted();
    const tool = toolbox.find(name);
    if (tool === null) return failed(`There is no tool '${name}' now. Go on without it.`);
    const startedMs = performance.now();
    const logged = log.child({
      tool: name,
      run_id: call.runId,
      thread_id: call.threadId,
      call_id: call.callId,
    });
    const ended = (outcome: CallOutcome, fields = {}): void => {
      // A failure is an answer for the model, and a warning to whoever runs the tool.
      const level = outcome === 'answered' || outcome === 'cached' ? 'info' : 'warn';
      logged[level]({ outcome, ms: Math.round(performance.now() - startedMs), ...fields }, 'tool call');
    };

    const refused = (reason: string, outcome: FailedCall = 'refused'): unknown => {
      // Reasons hold what tools and their services said, and with it perhaps what they were asked.
      const [, status] = /^HTTP (\d{3})\b/.exec(reason) ?? [];
      ended(outcome, status === undefined ? {} : { status: Number(status) });
      logged.debug({ reason: reason.slice(0, MAX_LOGGED_CHARACTERS) }, 'tool call failed');
      return failed(reason);
    };

    const timeUp = AbortSignal.timeout(tool.timeoutMs + tool.waitMs);
    const context = {
      ...call,
      settings: toolbox.choice(name).settings,
      fetch: fetchOf(name),
      log: logged,
      timeoutMs: tool.timeoutMs,
      signal: AbortSignal.any([signal, timeUp]),
    };
    try {
      const args = readArguments(written);
      // What a tool answers to somebody's secrets is for nobody else.
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
      // What is wrong with them quotes them, and logs are not for what people say.
      const isArguments = error instanceof ToolArgumentError;
      ended(isArguments ? 'wrong arguments' : 'failed', isArguments ? {} : { at: placeOf(error) });
      logged.debug({ err: error }, 'tool call failed');
      return failed(isArguments ? error.message : `${name} failed. Go on without it.`);
    }
  };
}

const failed = (reason: string): unknown => ({
  error: reason.slice(0, MAX_REASON_CHARACTERS).toWellFormed(),
});

/** What kind of error a tool threw, and where: its message may quote what it was called with. */
function placeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const frames = error.stack?.match(/^ {4}at .*$/gm) ?? [];
  return [error.name, ...frames].join('\n');
}

/** The tool's answer, or a rejection as soon as the signal is aborted: not every tool heeds it. */
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

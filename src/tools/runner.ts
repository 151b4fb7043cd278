/** Runs one call of a tool to its end, whatever the tool does: what goes wrong is an answer too, for the model to read. */
import type { Logger } from '../log.ts';
import { ToolArgumentError, type RunTool, type Tool, type Toolbox, type ToolContext } from '../runs/tool.ts';

/** How this process runs its tools. Answers never throw, except by the caller's own abort. */
export function toolRunner(toolbox: Toolbox, log: Logger): RunTool {
  return async (name, args, context, signal) => {
    const tool = toolbox.get(name);
    if (tool === undefined) return failed(`There is no tool '${name}'. Go on without it.`);
    // Nobody wants it any more; begun, it would act for nothing.
    signal.throwIfAborted();
    const timeUp = AbortSignal.timeout(tool.timeoutMs);
    const limits = { ...context, signal: AbortSignal.any([signal, timeUp]) };
    try {
      const value = await within(tool, args, limits);
      // What cannot be written as JSON must not get further than this.
      JSON.stringify(value);
      return value;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ToolArgumentError) return failed(error.message);
      log.warn(
        { err: error, tool: name, thread_id: context.threadId, call_id: context.callId },
        'tool failed',
      );
      const seconds = tool.timeoutMs / 1000;
      return failed(
        timeUp.aborted ? `${name} did not answer within ${seconds} s.` : `${name} failed. Go on without it.`,
      );
    }
  };
}

const failed = (error: string): unknown => ({ error });

async function within(tool: Tool, args: unknown, context: ToolContext): Promise<unknown> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(new Error('time is up'));
  context.signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([tool.run(args, context), aborted.promise]);
  } finally {
    context.signal.removeEventListener('abort', onAbort);
  }
}

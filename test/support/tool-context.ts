/** The context of a tool in tests: no settings, a log that is not read, and a fetch that reaches 127.0.0.1. */
import type { ToolContext, ToolFetch } from '../../src/runs/tool.ts';

/** A context with `changes`. */
export function toolContext(changes: Partial<ToolContext> = {}): ToolContext {
  return {
    project: 'p',
    runId: 'run_1',
    threadId: 'thread_1',
    assistantId: null,
    callId: 'call_1',
    extras: {},
    secrets: {},
    settings: {},
    fetch: openFetch,
    log: { info: () => undefined, warn: () => undefined },
    timeoutMs: 10_000,
    signal: new AbortController().signal,
    ...changes,
  };
}

/** The global fetch under the contract of the guarded one, whose guard and limits of size it lacks. */
export const openFetch: ToolFetch = (url, init) => fetch(url, init);

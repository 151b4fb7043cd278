/**
 * The hosted tools of a worker: which engine answers which call, and what ends with the execution of a run. What an engine does
 * is said in its own file.
 */
import type { HostedReply, HostedRequest, RunHosted } from '../runs/hosted.ts';

/** What answers the calls of one hosted tool. */
export type Engine = (request: HostedRequest, signal: AbortSignal) => AsyncIterable<HostedReply>;

export interface HostedTools {
  readonly run: RunHosted;
  /** The execution of a run is over, whatever became of it. */
  ended(runId: string): Promise<void>;
}

export function hostedTools(
  fileSearch: Engine,
  codeInterpreter: { readonly engine: Engine; ended(runId: string): Promise<void> },
): HostedTools {
  return {
    run: (request, signal) => {
      const engine = request.call.type === 'file_search' ? fileSearch : codeInterpreter.engine;
      return engine(request, signal);
    },
    ended: async (runId) => codeInterpreter.ended(runId),
  };
}

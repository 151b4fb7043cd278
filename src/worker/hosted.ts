/**
 * Runs the calls of the hosted tools: finds which engine answers, and says what is missing where there is none. What an engine
 * does is said in its own file.
 */
import type { HostedReply, HostedRequest, RunHosted } from '../runs/hosted.ts';

/** What answers the calls of one hosted tool. */
export type Engine = (request: HostedRequest, signal: AbortSignal) => AsyncIterable<HostedReply>;

export interface Engines {
  readonly fileSearch: Engine;
  readonly codeInterpreter: Engine;
}

export function hostedTools({ fileSearch, codeInterpreter }: Engines): RunHosted {
  return (request, signal) =>
    request.call.type === 'file_search' ? fileSearch(request, signal) : codeInterpreter(request, signal);
}

export async function* missing(): AsyncGenerator<HostedReply, void> {
  yield { type: 'refusal', text: 'This server cannot run this tool.' };
}

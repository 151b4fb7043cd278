/** Hosted tools and servers of tools, of runs that have none. */
import type { HostedReply } from '../../src/runs/hosted.ts';

export async function* noHostedTools(): AsyncGenerator<HostedReply, void> {
  yield { type: 'refusal', text: 'no hosted tool was expected to run' };
}

/** Neither. */
export const noOtherTools = { runHosted: noHostedTools, runRemote: noRemoteTools };

export async function noRemoteTools(): Promise<unknown> {
  return { error: 'no server of tools was expected' };
}

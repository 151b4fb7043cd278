/** Hosted tools of runs that have none. */
import type { HostedReply } from '../../src/runs/hosted.ts';

export async function* noHostedTools(): AsyncGenerator<HostedReply, void> {
  yield { type: 'refusal', text: 'no hosted tool was expected to run' };
}

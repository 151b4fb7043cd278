/** The end of a response, for clients that wait for all of it. */
import type { FailureFacts } from '../../runs/thread.ts';
import type { StoredRun } from '../../store/runs.ts';
import type { Caller } from '../../turns/caller.ts';
import { cancelRun } from '../../turns/changes.ts';
import { turnError } from '../../turns/turn-error.ts';
import type { Services } from '../http/services.ts';
import { ResponsesEncoder } from './frames.ts';
import { sealerOf } from './sealing.ts';

/** Waits for the end of the run. @throws {ApiError} where it failed before it said or did anything. */
export async function whole(services: Services, call: Caller, stored: StoredRun): Promise<ResponsesEncoder> {
  const encoder = new ResponsesEncoder(Infinity, sealerOf(services, stored.state));
  call.release();
  for await (const entries of services.hub.follow(stored.ref, call.gone)) {
    for (const entry of entries) {
      encoder.encode(entry);
      const { event } = entry;
      if (event.type === 'run.failed' && encoder.isSilent)
        throw turnError({
          error: event.error,
          retryAfterMs: event.retry_after_ms,
          said: inThisApi(event.facts ?? {}),
        });
    }
    if (encoder.isOver) break;
  }
  if (!encoder.isOver && stored.state.origin.ephemeral) await cancelRun(services, stored.ref);
  return encoder;
}

/** What chats call `messages` is `input` here, and it is what a prompt that is too long consists of. */
function inThisApi({ param, ...facts }: Partial<FailureFacts>): Partial<FailureFacts> {
  if (param === 'messages' || facts.code === 'context_length_exceeded') return { ...facts, param: 'input' };
  return { ...facts, ...(param !== undefined && { param }) };
}

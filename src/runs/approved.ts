/**
 * Calls that were approved for a run. It begins with them: their decision came with its input, as an item of its thread, or from
 * the client that it has asked. No other run makes them. Pure.
 */
import { callsOf } from './parts.ts';
import type { CalledFunction } from './calls/kind.ts';
import type { Run, ThreadItem } from './thread.ts';

/** A call that may be made now. */
export interface ApprovedCall extends CalledFunction {
  /** The call or item that asked for the approval; the call is known by it to its tool, however often it is tried. */
  readonly approval: string;
}

/** The calls that a run has to make before it asks its model, in the order of their decisions. @param items what it sees of its thread */
export function approvedCalls(
  { id: runId }: Pick<Run, 'id'>,
  items: readonly ThreadItem[],
): readonly ApprovedCall[] {
  const approved = new Map<string, ApprovedCall>();
  for (const item of items) {
    if (item.object === 'thread.item') {
      const { approves } = item;
      if (approves?.approve === true && approves.run_id === runId) approved.set(approves.approval, approves);
      continue;
    }
    if (item.object !== 'thread.run.step' || item.run_id !== runId || item.status !== 'completed') continue;
    for (const call of callsOf(item)) {
      if (call.type === 'function' && call.approval_request_id !== undefined)
        approved.delete(call.approval_request_id);
      if (call.type !== 'approval' || call.approval.decision?.approve !== true) continue;
      const { name, arguments: text } = call.approval;
      approved.set(call.id, { name, arguments: text, approval: call.id });
    }
  }
  return [...approved.values()];
}

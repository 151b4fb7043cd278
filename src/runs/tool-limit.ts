/** How many calls of the server's own tools a run may make. Pure. */
import { answererOf } from './calls/kinds.ts';
import { callsOf } from './parts.ts';
import type { RunState } from './run.ts';
import type { ThreadItem } from './thread.ts';

/** How many more there may be; Infinity where nobody has set a limit. @param items what the model sees of the thread */
export function toolCallsLeft({ run, origin }: RunState, items: readonly ThreadItem[]): number {
  const { max_tool_calls: most } = origin;
  if (most === undefined) return Infinity;
  let made = 0;
  for (const item of items) {
    if (item.object !== 'thread.run.step' || item.run_id !== run.id || item.status !== 'completed') continue;
    made += callsOf(item).filter((call) => answererOf(call, { run, origin }) === 'worker').length;
  }
  return most - made;
}

/** The answer to a call that is one too many. */
export const NO_MORE_CALLS =
  'This call was not made: the limit of tool calls for this response is reached. Answer with what you know by now.';

/** Steps as clients see them. */
import { shownCall } from './calls/kinds.ts';
import type { CallView } from './calls/kind.ts';
import { isTerminal } from './run.ts';
import type { Run, RunStep } from './thread.ts';

export type ShownStep = Omit<RunStep, 'step_details'> & { readonly step_details: object };

/** A step as clients read it. It expires with its run, so once the run has ended it has no `expires_at`. */
export function stepView(step: RunStep, run: Run, view?: CallView): ShownStep {
  const shown = shownStep(step, view);
  return isTerminal(run) ? { ...shown, expires_at: null } : shown;
}

/** As most clients want it: what a search has found without its texts. */
export const PLAIN_VIEW: CallView = { withContents: false };

/** A step with its calls as their kinds show them. */
export function shownStep(step: RunStep, view: CallView = PLAIN_VIEW): ShownStep {
  const { step_details: details } = step;
  if (details.type === 'message_creation') return step;
  return {
    ...step,
    step_details: { ...details, tool_calls: details.tool_calls.map((call) => shownCall(call, view)) },
  };
}

/** Steps as clients see them. */
import { shownCall } from './calls/kinds.ts';
import { isTerminal } from './run.ts';
import type { Run, RunStep } from './thread.ts';

export type ShownStep = Omit<RunStep, 'step_details'> & { readonly step_details: object };

/** A step as it is read: it expires with its run, so nothing of it does when the run has ended. */
export function stepView(step: RunStep, run: Run): ShownStep {
  const shown = shownStep(step);
  return isTerminal(run) ? { ...shown, expires_at: null } : shown;
}

/** A step with its calls as their kinds show them. */
export function shownStep(step: RunStep): ShownStep {
  const { step_details: details } = step;
  if (details.type === 'message_creation') return step;
  return { ...step, step_details: { ...details, tool_calls: details.tool_calls.map(shownCall) } };
}

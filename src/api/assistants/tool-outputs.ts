/** `submit_tool_outputs`: the client answers the calls that its run waits for. */
import { z } from 'zod';
import { ApiError, echo, notFound, wrongOutputs } from '../../errors.ts';
import { decisionIn } from '../../runs/calls/approval.ts';
import { answererOf, outputOf, type StepCall } from '../../runs/calls/kinds.ts';
import { callsOf } from '../../runs/parts.ts';
import { deviceOutput } from '../../runs/pictures.ts';
import { isBlocked, isTerminal, pendingCalls } from '../../runs/run.ts';
import type { RunEvent } from '../../runs/event.ts';
import type { RequiredCall } from '../../runs/thread.ts';
import type { RunRef } from '../../store/keys.ts';
import { isInGrace, runView } from '../../store/poll-grace.ts';
import type { ReadRun, StoredRun } from '../../store/runs.ts';
import { checkOutputs, runBytes } from '../../turns/budgets.ts';
import type { Endpoint } from '../http/endpoint.ts';
import { answerCalls } from '../../turns/changes.ts';
import type { Services } from '../http/services.ts';
import { findRun, pollHeaders, runStream } from './stream.ts';
import { withPictures } from '../../turns/photo.ts';

const MAX_OUTPUTS = 128;

const submitBody = z.strictObject({
  tool_outputs: z
    .array(z.strictObject({ tool_call_id: z.string().nullish(), output: z.string().nullish() }))
    .max(MAX_OUTPUTS),
  stream: z.boolean().nullish(),
});

type SubmittedOutputs = z.infer<typeof submitBody>['tool_outputs'];

export function toolOutputEndpoints(services: Services): readonly Endpoint[] {
  const { runs, admission, now, nowMs, settings } = services;

  return [
    {
      method: 'POST',
      path: '/threads/:thread_id/runs/:run_id/submit_tool_outputs',
      handle: async (call) => {
        const { stored: found } = await findRun(services, call);
        call.admit(runBytes(found.state.run));
        const { tool_outputs: outputs, stream } = call.body(submitBody);
        const texts = outputs.map(({ output }) => output ?? '');
        checkOutputs(texts, 'tool_outputs', settings.messageLimitBytes);
        if (stream === true) admission.admitStream(call.gone);
        const graceMs = stream === true ? 0 : settings.pollGraceMs;
        const answer = async () =>
          runs.change(
            found.ref,
            (stored) => eventsFor(stored, outputs, services, now()),
            graceMs === 0 ? 0 : nowMs() + graceMs,
          );
        const changed = await answer().catch(async (refusal: unknown) => {
          const repeated = stream === true ? null : await repetition(services, found.ref, outputs);
          // The refusal was about an earlier state of the run: try once more against its present state.
          if (repeated === null) return answer();
          const shown = await goingOn(services, found.ref);
          // Different outputs for the same calls were not accepted, and the client must know.
          if (repeated === 'other outputs') throw refusal;
          return shown;
        });
        if (changed === null) throw notFound('run', found.ref.runId);
        // The stream begins with the effects of the submission itself: the old step completed, the run queued again.
        if (stream === true) return runStream(services, call, changed.stored, changed.after, null);
        const value = runView(changed.stored.state.run, changed, nowMs());
        return { type: 'shell-safe', value, headers: pollHeaders(services) };
      },
    },
  ];
}

/** @throws {ApiError} 400 when the outputs are not for exactly the pending calls. */
function eventsFor(
  { state }: StoredRun,
  outputs: SubmittedOutputs,
  { plugins }: Services,
  at: number,
): readonly RunEvent[] {
  const pending = pendingCalls(state.run);
  const expected = pending.map((call) => call.id);
  const got = outputs.map((output) => output.tool_call_id ?? '');
  if (isBlocked(state.run) && !sameIds(expected, got)) throw wrongOutputs(expected, got);
  const byId = Object.fromEntries(outputs.map((output) => [output.tool_call_id ?? '', output.output ?? '']));
  for (const [index, { tool_call_id: id, output }] of outputs.entries()) {
    const isQuestion = pending.some((call) => call.id === id && isApproval(call));
    if (isQuestion && decisionIn(output ?? '') === null) throw noDecision(id ?? '', index);
  }
  return answerCalls(state, withPictures(byId, pending, plugins), at);
}

/** Whether the call waits for a decision in place of an output. */
const isApproval = (call: RequiredCall): boolean =>
  call.type === 'function' && call.requires_approval === true;

function noDecision(id: string, index: number): ApiError {
  const text = `Call '${echo(id)}' waits for an approval: its output must say whether it may be made. Send {"approve": true}, or {"approve": false, "reason": "…"}.`;
  return new ApiError(400, text, { param: `tool_outputs[${index}].output`, code: 'invalid_value' });
}

/**
 * Whether a run that has not ended already got outputs for these calls: the same, or different ones; null when it did
 * not. An old polling shell client repeats its submission whenever it reads a stale answer, for ever if nothing stops
 * it. What it wants is done, so it is shown a run that goes on.
 */
async function repetition(
  { objects, runs }: Services,
  ref: RunRef,
  outputs: SubmittedOutputs,
): Promise<'same outputs' | 'other outputs' | null> {
  const got = outputs.map((output) => output.tool_call_id ?? '');
  // Read again: another request may have answered the calls since this one began.
  const state = (await runs.get(ref))?.stored.state;
  if (state === undefined || isTerminal(state.run) || got.length === 0) return null;
  const pending = pendingCalls(state.run).map((call) => call.id);
  if (got.some((id) => pending.includes(id))) return null;
  const steps = await objects.steps.list(ref, { limit: 100, order: 'desc', after: null, before: null });
  if (steps.type !== 'page') return null;
  for (const step of steps.items) {
    // Without the calls that the worker answered; the client never had to.
    const theirs = callsOf(step).filter((call) => answererOf(call, state) === 'client');
    const ids = theirs.map((call) => call.id);
    if (step.status !== 'completed' || !sameIds(ids, got)) continue;
    const taken = new Map(theirs.map((call) => [call.id, givenFor(call)]));
    const isSame = outputs.every(({ tool_call_id: id, output }) =>
      [output ?? '', deviceOutput(output ?? ''), decisionText(output ?? '')].includes(
        taken.get(id ?? '') ?? '',
      ),
    );
    return isSame ? 'same outputs' : 'other outputs';
  }
  return null;
}

/** What a client gave for a call; of a decision, what it says. */
const givenFor = (call: StepCall): string =>
  call.type === 'approval' ? JSON.stringify(call.approval.decision) : outputOf(call);

const decisionText = (output: string): string => JSON.stringify(decisionIn(output));

/** How long a run is shown as queued to a client that has missed that it went on. */
const REPEATED_GRACE_MS = 500;

/** The run, shown as queued for a moment; null when it is gone. Repetitions meanwhile do not prolong that. */
async function goingOn(
  { runs, nowMs }: Services,
  ref: RunRef,
): Promise<(ReadRun & { readonly after: number }) | null> {
  const read = await runs.get(ref);
  if (read === null) return null;
  const { run } = read.stored.state;
  const after = read.stored.seq;
  if (!isBlocked(run) || isInGrace(run, read.grace, nowMs())) return { ...read, after };
  const grace = { runId: ref.runId, untilMs: nowMs() + REPEATED_GRACE_MS };
  await runs.grace(ref, grace.untilMs);
  return { ...read, grace, after };
}

/** The same ids, each once, in any order. */
function sameIds(expected: readonly string[], got: readonly string[]): boolean {
  return (
    expected.length === got.length &&
    new Set(got).size === got.length &&
    expected.every((id) => got.includes(id))
  );
}

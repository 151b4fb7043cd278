/** What events write besides the run itself: the messages and steps they are about, in the words of commit.lua. Pure. */
import type { KeptAsides } from '../runs/asides.ts';
import type { RunEvent } from '../runs/event.ts';
import { apply, type Applied, type RunState } from '../runs/run.ts';
import { thinker, type KeptThought } from '../runs/thoughts.ts';
import { encodePart } from './compact.ts';
import { asidesOf, thoughtsOf } from './keys.ts';

/** The state after `events`, and what they write besides the run. */
export function fold(
  before: RunState | null,
  events: readonly RunEvent[],
): { readonly state: RunState; readonly writes: readonly string[] } {
  let state = before;
  const writes: string[] = [];
  for (const event of events) {
    const applied = apply(state, event);
    writes.push(...writesOf(event, applied), ...thoughtWrites(event, state), ...asideWrites(event, state));
    state = applied.state;
  }
  if (state === null) throw new Error('a commit needs at least one event');
  return { state, writes };
}

/** Which objects an event changes in the store, in the words of commit.lua. */
function writesOf(event: RunEvent, { state, subject }: Applied): readonly string[] {
  const write = (kind: string): readonly string[] => [kind, subject.id, encodePart(subject)];
  switch (event.type) {
    case 'message.created':
      return write('message.mine');
    case 'message.completed':
      return write('message');
    case 'message.incomplete':
      return event.dropped ? ['message.drop', subject.id, ''] : write('message');
    case 'step.created':
      return write(event.message_id === null ? 'step.tools' : 'step.new');
    case 'step.completed':
    case 'step.left':
    case 'step.failed':
    case 'step.cancelled':
    case 'step.expired':
      return write('step');
    case 'step.dropped':
      return [...write('step'), ...dropMessageOf(subject)];
    case 'run.blocked':
      // From now on people may read the step's calls, to answer them.
      return state.step === null ? [] : ['step', state.step.id, encodePart(state.step)];
    case 'message.delta':
    case 'thought.delta':
    case 'thought.dropped':
    case 'asides.told':
    case 'tool.called':
    case 'tool.delta':
    case 'tool.output':
    case 'tool.answered':
    case 'run.queued':
    case 'run.started':
    case 'run.released':
    case 'run.resumed':
    case 'run.steered':
    case 'run.cancelling':
    case 'run.cancelled':
    case 'run.completed':
    case 'run.incomplete':
    case 'run.failed':
    case 'run.expired':
      return [];
  }
}

/**
 * What the model thought is kept beside the step of its calls, or of its words where it made none: not in the step, which
 * is what clients read.
 */
function thoughtWrites(event: RunEvent, before: RunState | null): readonly string[] {
  if (before === null) return [];
  const { run, origin, thoughts = [], step, preface } = before;
  if (thoughts.length === 0) return [];
  const isOver =
    event.type === 'run.completed' ||
    event.type === 'run.incomplete' ||
    (event.type === 'run.steered' && step === null);
  const ofCalls = closesCalls(event) && step?.type === 'tool_calls' ? step : null;
  const done = isOver ? preface : ofCalls;
  if (done === null) return [];
  const by = thinker(run.model, origin.backend_id);
  const kept = thoughts.map((thought): KeptThought => ({ ...thought, by }));
  return ['step', thoughtsOf(done.id), JSON.stringify(kept)];
}

const closesCalls = ({ type }: RunEvent): boolean => type === 'step.completed' || type === 'step.left';

/** Asides are kept as thoughts are. Those of words alone go back to nobody. */
function asideWrites(event: RunEvent, before: RunState | null): readonly string[] {
  if (!closesCalls(event) || before === null) return [];
  const { run, origin, asides, step } = before;
  if (!asides || step?.type !== 'tool_calls' || asides.step !== step.id) return [];
  const { message, calls } = asides;
  const kept: KeptAsides = { message, calls, by: thinker(run.model, origin.backend_id) };
  return ['step', asidesOf(step.id), JSON.stringify(kept)];
}

function dropMessageOf(subject: Applied['subject']): readonly string[] {
  const details = subject.object === 'thread.run.step' ? subject.step_details : null;
  return details?.type === 'message_creation'
    ? ['message.drop', details.message_creation.message_id, '']
    : [];
}

/**
 * Photos as runs of earlier versions left them: `take_a_photo` was known by its name, its output might be a bare URL, and a
 * chat's run did not say which tools are there to get a picture. Put into the general form where such runs are read.
 */
import { answerCall, calledFunction, outputOf } from '../runs/calls/kinds.ts';
import type { ChatMessage } from '../runs/model.ts';
import { callsOf } from '../runs/parts.ts';
import { deviceOutput } from '../runs/pictures.ts';
import type { RunState } from '../runs/run.ts';
import type { ThreadItem } from '../runs/thread.ts';

const PHOTO_TOOL = 'take_a_photo';

/** An item of a thread whose photos the model is to see. */
export function withOldPhotos(item: ThreadItem): ThreadItem {
  if (item.object !== 'thread.run.step') return item;
  const calls = callsOf(item);
  if (!calls.some((call) => calledFunction(call).name === PHOTO_TOOL)) return item;
  const read = calls.map((call) =>
    calledFunction(call).name === PHOTO_TOOL && outputOf(call) !== ''
      ? answerCall(call, deviceOutput(outputOf(call)))
      : call,
  );
  return { ...item, step_details: { type: 'tool_calls', tool_calls: read } };
}

/** The same of a request without a thread. */
export function withOldInput(input: readonly ChatMessage[]): readonly ChatMessage[] {
  const calls = input.flatMap((message) => (message.role === 'assistant' ? (message.tool_calls ?? []) : []));
  const photos = new Set(
    calls.flatMap((call) => (calledFunction(call).name === PHOTO_TOOL ? [call.id] : [])),
  );
  if (photos.size === 0) return input;
  return input.map((message) =>
    message.role === 'tool' && photos.has(message.tool_call_id)
      ? { ...message, content: deviceOutput(message.content) }
      : message,
  );
}

/** A run that says which tools are there to get a picture: a chat's camera was the only one. */
export function withOldCamera(state: RunState): RunState {
  const { origin } = state;
  if (origin.turn_key === null || origin.offered_until_picture !== undefined) return state;
  return { ...state, origin: { ...origin, offered_until_picture: [PHOTO_TOOL] } };
}

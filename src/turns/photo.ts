/**
 * Photos: the tool with which a model asks a device to look, and the outputs of tools that devices answer. Prompts know
 * one form of a picture (src/runs/pictures.ts); the shorter forms that devices send are put into that form here.
 */
import { calledFunction } from '../runs/calls/kinds.ts';
import type { ChatMessage } from '../runs/model.ts';
import { deviceOutput } from '../runs/pictures.ts';
import type { RequiredCall } from '../runs/thread.ts';
import type { Plugins } from '../runs/tool.ts';

/** The function with which a model asks a device to look; src/tools/take_a_photo.ts declares it. */
export const PHOTO_TOOL = 'take_a_photo';
/** How long a device may take to photograph. */
export const PHOTO_WAIT_MS = 120_000;

type Outputs = Readonly<Record<string, string>>;

/** Whether all of these calls ask for a photo, and there are some. */
export function askForPhoto(calls: readonly RequiredCall[]): boolean {
  return calls.length > 0 && calls.every((call) => calledFunction(call).name === PHOTO_TOOL);
}

/** The outputs by call id, with those of devices put into the general form. */
export function withPictures(outputs: Outputs, calls: readonly RequiredCall[], plugins: Plugins): Outputs {
  const isDevices = devicesAmong(calls, plugins);
  const read = Object.entries(outputs).map(([id, output]): readonly [string, string] => [
    id,
    isDevices(id) ? deviceOutput(output) : output,
  ]);
  return Object.fromEntries(read);
}

/** The messages of a conversation, with the outputs of devices put into the general form. */
export function withShownPictures(
  messages: readonly ChatMessage[],
  plugins: Plugins,
): readonly ChatMessage[] {
  const calls = messages.flatMap((message) =>
    message.role === 'assistant' ? (message.tool_calls ?? []) : [],
  );
  if (calls.length === 0) return messages;
  const isDevices = devicesAmong(calls, plugins);
  return messages.map((message) =>
    message.role === 'tool' && isDevices(message.tool_call_id)
      ? { ...message, content: deviceOutput(message.content) }
      : message,
  );
}

/**
 * Tells from its id whether a device answers a call: a photo call, or a call of another tool that the server knows as a
 * device's.
 */
function devicesAmong(calls: readonly RequiredCall[], plugins: Plugins): (id: string) => boolean {
  const isDevice = (name: string): boolean =>
    name === PHOTO_TOOL || plugins.find(name)?.answeredBy === 'device';
  const devices = calls.filter((call) => isDevice(calledFunction(call).name));
  const ids = new Set(devices.map(({ id }) => id));
  return (id) => ids.has(id);
}

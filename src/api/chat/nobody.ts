/** Asked for an agent that nobody is: a slip in a device's settings, which its wearer hears and its operator reads. */
import { ApiError, UNKNOWN_AGENT } from '../../errors.ts';
import { NO_USAGE } from '../../runs/thread.ts';
import type { Call } from '../http/call.ts';
import type { TurnEvent } from '../../turns/turn-events.ts';

/** As many names are told before the log must not grow any more. */
const MAX_TOLD = 100;
/** Nobody listens to more of a name. */
const MAX_SPOKEN_CHARACTERS = 64;

/** The names that were told already by this process. */
const told = new Set<string>();

/** Whether a turn failed because nobody has the name that it asks for. */
export function isNobody(error: unknown): boolean {
  return error instanceof ApiError && error.code === UNKNOWN_AGENT;
}

/** Says in the log, once for each name, that nobody has it. */
export function tellNobody(call: Call, asked: string): void {
  const agent = nameOf(asked);
  if (told.has(agent) || told.size >= MAX_TOLD) return;
  told.add(agent);
  call.log.warn({ agent }, `no assistant, alias or model is named '${agent}', which a device asks for`);
}

/** What a device says instead of an answer. */
export async function* sayNobody(asked: string): AsyncGenerator<TurnEvent, void> {
  const agent = nameOf(asked);
  yield { type: 'text', text: `这里没有名为“${agent}”的智能体。 There is no agent named ${agent} here.` };
  yield { type: 'end', reason: 'stop', usage: NO_USAGE };
}

function nameOf(asked: string): string {
  return asked.slice(0, MAX_SPOKEN_CHARACTERS).toWellFormed();
}

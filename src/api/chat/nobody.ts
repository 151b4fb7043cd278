/**
 * A device asks for an agent that does not exist: a mistake in its settings, which the device speaks to its wearer and
 * the log reports to the operator.
 */
import { ApiError, UNKNOWN_AGENT } from '../../errors.ts';
import { NO_USAGE } from '../../runs/thread.ts';
import type { Call } from '../http/call.ts';
import type { TurnEvent } from '../../turns/turn-events.ts';

/** How many names are logged; the log must not grow without limit. */
const MAX_TOLD = 100;
/** A longer name is cut when it is spoken. */
const MAX_SPOKEN_CHARACTERS = 64;

/** The names that this process has already logged. */
const told = new Set<string>();

/** Whether a turn failed because there is no agent of the name that it asks for. */
export function isNobody(error: unknown): boolean {
  return error instanceof ApiError && error.code === UNKNOWN_AGENT;
}

/** Logs, once for each name, that there is no such agent. */
export function tellNobody(call: Call, asked: string): void {
  const agent = nameOf(asked);
  if (told.has(agent) || told.size >= MAX_TOLD) return;
  told.add(agent);
  call.log.warn({ agent }, `no assistant, alias or model is named '${agent}', which a device asks for`);
}

/** What the device says instead of an answer. */
export async function* sayNobody(asked: string): AsyncGenerator<readonly TurnEvent[], void> {
  const agent = nameOf(asked);
  const text = `这里没有名为“${agent}”的智能体。 There is no agent named ${agent} here.`;
  yield [
    { type: 'text', text },
    { type: 'end', reason: 'stop', usage: NO_USAGE },
  ];
}

function nameOf(asked: string): string {
  return asked.slice(0, MAX_SPOKEN_CHARACTERS).toWellFormed();
}

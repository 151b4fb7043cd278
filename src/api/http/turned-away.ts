/** Logs each refused name and origin once for the operator, because devices and browsers do not show our refusals. */
import { echo } from '../../errors.ts';
import type { Logger } from '../../log.ts';

/** A scanner makes up names without end; a client that is set up wrong is among the first. */
const MAX_TOLD = 100;

/** Called with a name or origin that was refused. */
export type TurnAway = (setting: 'ALLOWED_HOSTS' | 'CORS_ORIGINS', name: string) => void;

export function turnAway(log: Logger): TurnAway {
  const told = new Set<string>();
  return (setting, name) => {
    const key = `${setting} ${name}`;
    if (told.has(key) || told.size === MAX_TOLD) return;
    told.add(key);
    log.warn({ name: echo(name), setting }, `refusing requests of a name that is not in ${setting}`);
  };
}

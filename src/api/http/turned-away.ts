/** Tells the operator once of each name and page that was turned away: devices and browsers do not show what we answered them. */
import { echo } from '../../errors.ts';
import type { Logger } from '../../log.ts';

/** A scanner makes up names without end; whoever has set something up wrong is among the first. */
const MAX_TOLD = 100;

/** Hears of a name or origin that was refused. */
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

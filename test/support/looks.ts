/** Between two looks at something that nobody is told of. Looking without a pause would take the processor from what is waited for. */
import { setTimeout as delay } from 'node:timers/promises';

const LOOK_EVERY_MS = 50;

/** Looks until what is seen is as wanted. The test's own time limit bounds the wait. */
export async function lookUntil<T>(look: () => Promise<T>, fits: (seen: T) => boolean): Promise<T> {
  for (;;) {
    const seen = await look();
    if (fits(seen)) return seen;
    await delay(LOOK_EVERY_MS);
  }
}

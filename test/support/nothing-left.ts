/**
 * Test files share processes, because loading everything anew for each takes a third of all the work. What a file leaves
 * behind would reach the next one, so this runs around each: the file fails that leaves a process of its own, a server that
 * listens, a handler of signals, another environment or another folder.
 */
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll } from 'vitest';

const EVENTS = ['SIGHUP', 'SIGINT', 'SIGTERM', 'SIGUSR2'] as const;
const RESOURCES = ['ProcessWrap', 'TCPServerWrap', 'PipeServerWrap'];
/** What has been told to end may take a moment. */
const PATIENCE_MS = 30_000;
const LOOK_EVERY_MS = 20;

interface Surroundings {
  /** How many there are of each thing that a file may not leave behind. */
  readonly things: ReadonlyMap<string, number>;
  readonly settings: ReadonlyMap<string, string>;
}

function surroundings(): Surroundings {
  const resources = process.getActiveResourcesInfo();
  return {
    things: new Map([
      ...EVENTS.map((event) => [`listeners of ${event}`, process.listenerCount(event)] as const),
      ...RESOURCES.map((kind) => [kind, resources.filter((one) => one === kind).length] as const),
    ]),
    settings: new Map([
      ...Object.entries(process.env).map(([name, value = '']) => [`environment ${name}`, value] as const),
      ['folder', process.cwd()],
    ]),
  };
}

/** What there is now that was not there before, and what was changed. */
function leftBehind(): readonly string[] {
  const after = surroundings();
  const more = [...after.things].filter(([name, count]) => count > (before.things.get(name) ?? 0));
  const names = [...new Set([...before.settings.keys(), ...after.settings.keys()])];
  const changed = names.filter((name) => before.settings.get(name) !== after.settings.get(name));
  const replaced = globals().some((one, index) => one !== globalsBefore[index]) ? ['another global'] : [];
  return [...more.map(([name, count]) => `${name}: ${count}`), ...changed, ...replaced];
}

/** What tests like to replace for a while. Whoever does has a process to itself (vitest.config.ts). */
const globals = (): readonly unknown[] => [setTimeout, setInterval, Date, performance.now, fetch, JSON.parse];

const before = surroundings();
const globalsBefore = globals();

afterAll(async () => {
  const endMs = performance.now() + PATIENCE_MS;
  let left = leftBehind();
  while (left.length > 0 && performance.now() < endMs) {
    await delay(LOOK_EVERY_MS);
    left = leftBehind();
  }
  if (left.length > 0) throw new Error(`This file leaves something to the next one: ${left.join(', ')}.`);
});

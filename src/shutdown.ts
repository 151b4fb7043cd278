/**
 * How a process ends: on SIGTERM or SIGINT it stops taking work and then stops what is open, each step bounded by a deadline; a
 * second Ctrl-C, or the deadline, ends it at once.
 */
import { ConfigError } from './config.ts';
import { CannotStart } from './errors.ts';
import type { Logger } from './log.ts';

/** One Ctrl-C arrives from the terminal, from npm and from the set-up; a person needs longer for a second one. */
const ONE_PRESS_MS = 1_000;

export interface Stoppable {
  /** Refuse new work from now on. Quick. */
  readonly stopTaking: () => Promise<void> | void;
  /** Finish or hand over what is open, and release every resource. */
  readonly stop: () => Promise<void>;
}

/** Ends a process that could not start, saying why: a stack for us, a plain message for a mistake in the settings. */
export function die(error: unknown): never {
  const detail = error instanceof Error ? error.stack : String(error);
  const text = error instanceof ConfigError || error instanceof CannotStart ? error.message : detail;
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

/**
 * Calls `first` when the process is told to stop, and `again` when it is told once more later than one press of Ctrl-C is heard.
 * That whoever started us over a channel was killed outright is an order to stop as well.
 */
export function onStop(first: (why: string) => void, again: () => void): void {
  let firstMs: number | null = null;
  const onSignal = (why: string): void => {
    const nowMs = performance.now();
    if (firstMs === null) {
      firstMs = nowMs;
      first(why);
    } else if (nowMs - firstMs > ONE_PRESS_MS) again();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => onSignal(signal));
  process.on('disconnect', () => onSignal('disconnect'));
}

/** Ends the process properly when it is told to. `deadlineMs` bounds the whole stop. */
export function stopOnSignal(parts: Stoppable, deadlineMs: number, log: Logger): void {
  const stop = async (why: string): Promise<void> => {
    log.info({ signal: why }, 'stopping');
    const deadline = setTimeout(() => {
      log.error({ deadlineMs }, 'did not stop in time; leaving');
      process.exit(1);
    }, deadlineMs);
    deadline.unref();
    try {
      await parts.stopTaking();
      await parts.stop();
      log.info('stopped');
      process.exit(0);
    } catch (err) {
      log.error({ err }, 'stopping failed');
      process.exit(1);
    }
  };
  onStop(
    (why) => void stop(why),
    () => process.exit(1),
  );
}

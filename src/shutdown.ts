/**
 * How a process ends: on SIGTERM or SIGINT it takes no more work, then stops what is open, within one deadline. A
 * second Ctrl-C, or the deadline, ends it at once.
 */
import { ConfigError } from './config.ts';
import { CannotStart } from './cannot-start.ts';
import type { Logger } from './log.ts';

/**
 * One Ctrl-C arrives several times: from the terminal, from npm and from the set-up. A person takes longer than this to
 * press it again.
 */
const ONE_PRESS_MS = 1_000;

export interface Stoppable {
  /** Refuse new work from now on. Quick. */
  readonly stopTaking: () => Promise<void> | void;
  /** Finish or hand over what is open, and release every resource. */
  readonly stop: () => Promise<void>;
}

/** Ends a process that could not start. Prints a plain message for a mistake in the settings, and a stack for a bug. */
export function die(error: unknown): never {
  const detail = error instanceof Error ? error.stack : String(error);
  const text = error instanceof ConfigError || error instanceof CannotStart ? error.message : detail;
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

/**
 * Calls `first` when the process is told to stop, and `again` when it is told again after ONE_PRESS_MS. When the parent
 * had a channel to this process and is killed, that is an order to stop as well.
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

/** Ends the process in good order when it is told to stop. `deadlineMs` bounds the whole stop. */
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

/**
 * How a process ends: on the first SIGTERM or SIGINT it stops taking work and then stops what is open, each step bounded by a
 * deadline; a second signal, or the deadline, ends it at once.
 */
import { ConfigError } from './config.ts';
import type { Logger } from './log.ts';

export interface Stoppable {
  /** Refuse new work from now on. Quick. */
  readonly stopTaking: () => Promise<void> | void;
  /** Finish or hand over what is open, and release every resource. */
  readonly stop: () => Promise<void>;
}

/** Ends a process that could not start, saying why: a stack for us, a plain message for a mistake in the settings. */
export function die(error: unknown): never {
  const detail = error instanceof Error ? error.stack : String(error);
  const text = error instanceof ConfigError ? error.message : detail;
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

/** Ends the process properly when it is told to. `deadlineMs` bounds the whole stop. */
export function stopOnSignal(parts: Stoppable, deadlineMs: number, log: Logger): void {
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, 'stopping');
    const deadline = setTimeout(() => {
      log.error({ deadlineMs }, 'did not stop in time; leaving');
      process.exit(1);
    }, deadlineMs);
    deadline.unref();
    void (async () => {
      try {
        await parts.stopTaking();
        await parts.stop();
        log.info('stopped');
        process.exit(0);
      } catch (err) {
        log.error({ err }, 'stopping failed');
        process.exit(1);
      }
    })();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

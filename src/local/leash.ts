/**
 * A child process on a leash: its standard input tells it to stop, when we write there and when we die. Owns one
 * process group per child; knows nothing of what runs in it.
 *
 * The child is in a session of its own, so that Ctrl-C in the terminal reaches only us and we choose the order in which
 * things stop. The shell in between outlives a SIGKILL of this process just long enough to stop the child.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const LEASH = join(import.meta.dirname, 'leash.sh');

export interface LeashOptions {
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Called with every line that the child prints, on stdout or stderr. */
  readonly onLine: (line: string) => void;
  /** When we die, the child is asked to stop this much later, so that the processes that need it end first. */
  readonly graceS: number;
  /** How long it may take to stop before it is ended. */
  readonly patienceS: number;
}

export class Leash {
  /** Resolves when the child is gone and its last line was read; says how it ended, for a person. */
  readonly gone: Promise<string>;
  readonly #process: ChildProcess;

  constructor({ command, env, onLine, graceS, patienceS }: LeashOptions) {
    const child = spawn('/bin/sh', [LEASH, `${graceS}`, `${patienceS}`, ...command], {
      env,
      detached: true,
      stdio: 'pipe',
    });
    this.#process = child;
    // A broken pipe means that the child is gone, which `gone` reports.
    child.stdin.on('error', () => {});
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', onLine);
    this.gone = new Promise((resolve) => {
      child.on('error', (error) => resolve(`could not be started: ${error.message}`));
      child.on('close', (code) => resolve(describeEnd(code)));
    });
  }

  /** Asks the child to stop; it is gone after `patienceS` at the latest. */
  async stop(): Promise<void> {
    this.#process.stdin?.end('stop\n');
    await this.gone;
  }

  /** Ends the child and everything that it started, at once. */
  kill(): void {
    const { pid, exitCode, signalCode } = this.#process;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It has just ended.
    }
  }
}

/** A shell reports a child that died of signal n as 128 + n. */
function describeEnd(code: number | null): string {
  if (code === null || code === 128 + 9) return 'was killed';
  return code > 128 ? `died of signal ${code - 128}` : `ended with code ${code}`;
}

/**
 * A part of the running service that must stay up: a child process that is started, watched, started again when it dies,
 * and stopped. Owns the child and its journal.
 *
 * A part is in one phase: starting (start() rejects when the child dies), up (a child that dies is started again), or
 * stopped.
 */
import { LogJournal, type JournalEntry } from './journal.ts';
import { Leash } from './leash.ts';

const START_MS = 30_000;
/** Short, because the only worker may have died. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;
/** After a child has lived this long, the pauses begin again from the shortest. */
const WELL_AFTER_MS = 60_000;

export interface PartOptions {
  /** Its name for people: `api`, `worker 1`, `redis`. */
  readonly name: string;
  readonly command: readonly string[];
  /** The environment of the next child. */
  readonly env: () => NodeJS.ProcessEnv;
  readonly logPath: string;
  /** Whether the child is up, judging by a line it printed. `entry` is null when the line is not a log entry. */
  readonly isUp: (line: string, entry: JournalEntry | null) => boolean;
  /** How long it may take to stop before it is ended. */
  readonly patienceS: number;
  /** How much longer than this process it lives when this process is killed; see Leash. */
  readonly graceS?: number;
  /** Tells the person at the terminal. */
  readonly say: (text: string) => void;
}

export class Part {
  readonly #options: PartOptions;
  readonly #journal: LogJournal;
  #phase: 'starting' | 'up' | 'stopped' = 'starting';
  #leash: Leash | null = null;
  #pauseMs = FIRST_PAUSE_MS;
  #pause: NodeJS.Timeout | null = null;

  constructor(options: PartOptions) {
    this.#options = options;
    this.#journal = new LogJournal(options.logPath, (text) => options.say(`${options.name}: ${text}`));
  }

  /**
   * Starts the child and waits until it is up.
   * @throws with its last words, when it ends or does not come up in time.
   */
  async start(): Promise<void> {
    const up = Promise.withResolvers<void>();
    const fail = (why: string): void =>
      up.reject(new Error(`${this.#options.name} ${why}. ${this.#advice()}`));
    const timer = setTimeout(fail, START_MS, `was not up after ${START_MS / 1000} seconds`);
    try {
      const leash = this.#spawn(up.resolve);
      void leash.gone.then((how) => fail(`${how} while it started`));
      await up.promise;
    } finally {
      clearTimeout(timer);
    }
    if (this.#phase === 'starting') this.#phase = 'up';
  }

  async stop(): Promise<void> {
    this.#phase = 'stopped';
    if (this.#pause !== null) clearTimeout(this.#pause);
    await this.#leash?.stop();
    this.#journal.close();
  }

  kill(): void {
    this.#phase = 'stopped';
    this.#leash?.kill();
  }

  #spawn(onUp: () => void): Leash {
    const { command, env, isUp, graceS = 0, patienceS } = this.#options;
    const startedAt = performance.now();
    const leash = new Leash({
      command,
      env: env(),
      graceS,
      patienceS,
      onLine: (line) => {
        const entry = this.#journal.write(line);
        if (isUp(line, entry)) onUp();
      },
    });
    this.#leash = leash;
    void leash.gone.then((how) => this.#onGone(how, performance.now() - startedAt));
    return leash;
  }

  #onGone(how: string, livedMs: number): void {
    // While it starts, start() reports the end; once it is stopped, the end is expected.
    if (this.#phase !== 'up') return;
    if (livedMs > WELL_AFTER_MS) this.#pauseMs = FIRST_PAUSE_MS;
    const { name, say } = this.#options;
    say(`${name} ${how}; starting it again in ${this.#pauseMs / 1000} s. Its log: ${this.#journal.path}`);
    this.#pause = setTimeout(() => this.#spawn(() => say(`${name} is up again.`)), this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }

  #advice(): string {
    const { lastWords, path } = this.#journal;
    return lastWords === '' ? `Its log: ${path}` : `It said:\n${lastWords}`;
  }
}

/**
 * One process that runs the tool of one file, seen from its owner: how it starts, what it is asked, what it may say,
 * and how it ends. Nothing that the tool does to the process can throw here, answer for another tool, or choose a
 * process to be ended.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { Readable, Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Logger } from '../log.ts';
import { ToolError } from '../runs/tool.ts';
import {
  EVENTS_FD,
  MAX_EVENT_BYTES,
  readEvent,
  REQUESTS_FD,
  type CallRequest,
  type LoadRequest,
  type Outcome,
  type ToolEvent,
} from './child/protocol.ts';
import type { ToolDescription } from './definition.ts';
import { Family } from './family.ts';
import { Journal } from './journal.ts';
import { eachLine } from '../lines.ts';

const CHILD = fileURLToPath(new URL('child/main.ts', import.meta.url));
/**
 * The process runs at a lower priority than its owner from its first instruction on: a busy tool must not slow the
 * owner's streams.
 */
const NICENESS = 10;
const HEAP_LIMIT_MB = 256;
/** Time for a tool that heeds its signal to answer before its process is ended. */
const GRACE_MS = 250;
/**
 * Time for the rest of the output of a process that has ended; a process that has left its family may hold the pipes open.
 */
const LAST_WORDS_MS = 1_000;

/** How long a process may take outside the tool's own time; on a loaded machine each of these has taken half a minute. */
export interface ProcessLimits {
  /** To start, and to receive a request. */
  readonly startMs: number;
  /** To import the file of the tool. */
  readonly loadMs: number;
  /** To be ready for the next request. If it is not, it is replaced, so this can be short. */
  readonly readyMs: number;
  /** After this the log says that it takes long. */
  readonly slowMs: number;
}

export interface ProcessOptions {
  readonly file: string;
  /** The whole environment of the tool. */
  readonly env: Readonly<Record<string, string>>;
  readonly limits: ProcessLimits;
  readonly log: Logger;
  /** Called when the process may have become free, and when it is gone. */
  readonly changed: () => void;
}

export interface Asking {
  /** The tool's name for error messages. */
  readonly name: string;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/**
 * The machine was too busy, or the process was ended from outside, before the tool could do anything. Worth another try.
 */
export class NotBegun extends Error {}

/** The process ended in the middle of a call, by itself or because it took too much memory. */
export class ProcessEnded extends Error {}

/** The request that is being worked on. */
interface ToolWork {
  readonly nonce: string;
  readonly type: 'load' | 'call';
  readonly outcome: PromiseWithResolvers<Outcome>;
  /** The tool's time limit, from its start. */
  readonly timeoutMs: number;
  /** The error when that time is over. */
  readonly overdue: () => Error;
  stage: 'asked' | 'started' | 'settled';
  /** The outcome of a load, kept until the process is ready for calls. */
  described: Outcome | null;
}

type ProcessPhase = 'loading' | 'free' | 'working' | 'ended';

export class ToolProcess {
  readonly file: string;
  /** The description of the tool; rejects with the reason when the file cannot be loaded. */
  readonly loaded: Promise<ToolDescription>;
  readonly #options: ProcessOptions;
  readonly #family: Family;
  #child: ChildProcess | null = null;
  #state: ProcessPhase = 'loading';
  readonly #gone = Promise.withResolvers<void>();
  #work: ToolWork | null = null;
  #timer: NodeJS.Timeout | undefined;
  readonly #journal: Journal;

  constructor(options: ProcessOptions) {
    this.file = options.file;
    this.#options = options;
    this.#family = new Family(options.log);
    this.#journal = new Journal(options.log);
    this.loaded = this.#load();
    // Not every caller waits for the loading.
    this.loaded.catch(() => {});
  }

  get state(): ProcessPhase {
    return this.#state;
  }

  /** Resolves when nothing of it is left. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /**
   * Runs one call. Whatever becomes of the process, this settles within the tool's time and the limits.
   * @throws {ToolError} with words for the model when the time is over; the signal's reason when aborted.
   */
  async call(request: Omit<CallRequest, 'nonce' | 'type'>, { name, signal, log }: Asking): Promise<Outcome> {
    // Checked first: the process has done nothing for this call, so ending it would be a waste.
    signal.throwIfAborted();
    const { timeoutMs } = request;
    const overdue = (): Error => new ToolError(`${name} did not answer within ${timeoutMs / 1000} s.`);
    const onAbort = (): void => this.end(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const asked = this.#ask({ type: 'call', ...request }, timeoutMs + GRACE_MS, overdue);
      this.#journal.begin(log);
      return await asked;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /**
   * Ends it at once, with all that it has started: a process in a loop cannot be asked. The waiting call rejects with
   * `reason`.
   */
  end(reason: unknown): void {
    this.#work?.outcome.reject(reason);
    this.#state = 'ended';
    clearTimeout(this.#timer);
    this.#family.signal('SIGKILL');
  }

  async #load(): Promise<ToolDescription> {
    const { limits, log } = this.#options;
    const begunMs = performance.now();
    const slow = setInterval(() => {
      const ms = Math.round(performance.now() - begunMs);
      log.warn({ file: this.file, ms }, 'a tool takes long to load');
    }, limits.slowMs);
    try {
      const request = { type: 'load', file: this.file, mark: this.#family.mark } as const;
      const overdue = (): Error => new NotBegun(`it did not load within ${limits.loadMs / 1000} s`);
      const outcome = await this.#ask(request, limits.loadMs, overdue);
      if (outcome.type === 'described') return outcome.description;
      const reason = 'message' in outcome ? outcome.message : 'it answered something else than it was asked';
      throw new ToolError(outcome.type === 'failed' ? `it cannot be loaded: ${reason}` : reason);
    } catch (error) {
      this.end(error);
      throw error;
    } finally {
      clearInterval(slow);
    }
  }

  async #ask(
    request: Omit<LoadRequest, 'nonce'> | Omit<CallRequest, 'nonce'>,
    timeoutMs: number,
    overdue: () => Error,
  ): Promise<Outcome> {
    const { type } = request;
    const { startMs } = this.#options.limits;
    const nonce = randomUUID();
    // Written before anything is begun, because the operator's settings may not be JSON.
    const line = `${JSON.stringify({ ...request, nonce })}\n`;
    if (this.#state === 'ended') throw new NotBegun('the process of the tool has ended');
    const outcome = Promise.withResolvers<Outcome>();
    this.#state = type === 'load' ? 'loading' : 'working';
    this.#work = { nonce, type, outcome, timeoutMs, overdue, stage: 'asked', described: null };
    this.#within(startMs, () => new NotBegun(`its process did not come up within ${startMs / 1000} s`));
    if (type === 'load') this.#start();
    const requests = this.#child?.stdio[REQUESTS_FD];
    if (requests instanceof Writable) requests.write(line);
    return outcome.promise;
  }

  #start(): void {
    const options = [
      '-n',
      String(NICENESS),
      process.execPath,
      `--max-old-space-size=${HEAP_LIMIT_MB}`,
      CHILD,
    ];
    try {
      const child = spawn('nice', options, {
        env: { ...this.#options.env, ...this.#family.env },
        // Pipes, not Node's own channel between processes: that one throws in its owner when the process writes garbage
        // to it.
        stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
        // A group of its own: what the tool starts ends with it, and Ctrl-C reaches only us: we choose when it stops.
        detached: true,
      });
      this.#child = child;
      child.once('error', (error) => child.pid === undefined && void this.#bury(error.message));
      child.once('exit', (code, signal) => void this.#bury(signal ?? `exit code ${code}`));
      for (const stream of child.stdio) stream?.on('error', () => {});
      if (child.stdout !== null) this.#journal.read(child.stdout, false);
      if (child.stderr !== null) this.#journal.read(child.stderr, true);
      const events = child.stdio[EVENTS_FD];
      if (events instanceof Readable)
        eachLine(events, MAX_EVENT_BYTES, (line, isWhole) => this.#hear(isWhole ? readEvent(line) : null));
      if (child.pid !== undefined) this.#family.begin(child.pid);
    } catch (error) {
      void this.#bury(String(error));
    }
  }

  /**
   * Accepts only events that may come now. Our own code in the process sends no others, so any other comes from the tool.
   */
  #hear(event: ToolEvent | null): void {
    const work = this.#work;
    if (this.#state === 'ended') return;
    if (event === null || work === null || event.nonce !== work.nonce) return this.#distrust();
    const { stage } = work;
    if (event.type === 'started' && stage === 'asked') {
      work.stage = 'started';
      this.#within(work.timeoutMs, work.overdue);
    } else if (event.type === 'log' && stage === 'started') {
      if (!this.#journal.note(event.level, event.fields, event.message)) this.#distrust();
    } else if (event.type === 'settled' && stage === 'started') {
      work.stage = 'settled';
      if (work.type === 'load') work.described = event.outcome;
      else work.outcome.resolve(event.outcome);
      this.#within(
        this.#options.limits.readyMs,
        () => new Error('the process of the tool was not ready again'),
      );
    } else if (event.type === 'ready' && stage === 'settled') {
      this.#work = null;
      clearTimeout(this.#timer);
      // Only after a call: a tool that is big from the beginning would otherwise never be called.
      if (event.isSpent && work.type === 'call')
        return this.end(new Error('the process of the tool is spent'));
      this.#state = 'free';
      if (work.described !== null) work.outcome.resolve(work.described);
      this.#options.changed();
    } else this.#distrust();
  }

  #distrust(): void {
    this.#options.log.warn(
      { file: this.file },
      'the process of a tool is ended: it wrote what only Longrun writes',
    );
    this.end(new Error('the process of the tool wrote what only Longrun writes'));
  }

  #within(ms: number, error: () => Error): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(error()), ms);
  }

  /** The process has ended, by itself or by us. */
  async #bury(how: string): Promise<void> {
    this.#state = 'ended';
    clearTimeout(this.#timer);
    const child = this.#child;
    const isClosed = new Promise((resolve) =>
      child === null ? resolve(null) : child.once('close', resolve),
    );
    await this.#family.end();
    await Promise.race([isClosed, pause(LAST_WORDS_MS)]);
    for (const stream of child?.stdio ?? []) stream?.destroy();
    this.#work?.outcome.reject(this.#reasonOf(how));
    this.#gone.resolve();
    this.#options.changed();
  }

  #reasonOf(how: string): Error {
    const { lastWords } = this.#journal;
    const said = lastWords === '' ? '' : `: ${lastWords}`;
    if (this.#work?.stage === 'asked') return new NotBegun(`its process did not come up (${how})${said}`);
    if (this.#work?.type === 'load') return new ToolError(`it ended while loading (${how})${said}`);
    return new ProcessEnded(`the process of the tool ended (${how})`);
  }
}

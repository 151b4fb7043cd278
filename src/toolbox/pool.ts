/**
 * The processes for tools that could do harm: loop for ever, block, leak, crash. A process is started when first
 * needed, serves the tool of one file, and runs one call at a time. A call that takes too long is ended with its
 * process. Owns the order of the waiting calls; knows nothing of runs.
 */
import type { Logger } from '../log.ts';
import { ToolArgumentError, ToolError, type Tool, type ToolContext } from '../runs/tool.ts';
import type { Outcome } from './child/protocol.ts';
import type { ToolDescription } from './definition.ts';
import { NotBegun, ToolProcess, type ProcessLimits } from './tool-process.ts';

export interface ToolPoolOptions {
  /** How many may run at once; further calls wait. */
  readonly processes: number;
  /** The whole environment of a tool. */
  readonly env: Readonly<Record<string, string>>;
  /** Hosts that the tool of this name may reach besides public ones. */
  readonly allowedTo: (name: string) => readonly string[];
  readonly log: Logger;
  /** Default: {@link LIMITS}. */
  readonly limits?: Partial<PoolLimits>;
}

export interface PoolLimits extends ProcessLimits {
  /** How long a call waits for its turn while all processes are at work. */
  readonly turnMs: number;
}

const LIMITS: PoolLimits = {
  turnMs: 10_000,
  startMs: 60_000,
  loadMs: 60_000,
  readyMs: 10_000,
  slowMs: 10_000,
};

/** How many calls may wait; more are refused at once. */
const MAX_WAITING = 1_000;
/** How often loading a file or beginning a call is tried when the machine is too busy. */
const ATTEMPTS = 3;

/** A call that waits for a process for its file. */
interface WaitingCall {
  readonly file: string;
  readonly turn: PromiseWithResolvers<ToolProcess>;
}

export class ToolPool {
  readonly #options: ToolPoolOptions;
  readonly #limits: PoolLimits;
  /** The process that has been idle longest comes first. */
  readonly #processes = new Set<ToolProcess>();
  /** The processes that are at work. */
  readonly #taken = new Set<ToolProcess>();
  readonly #waiting = new Set<WaitingCall>();
  #isClosed = false;

  constructor(options: ToolPoolOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
  }

  /**
   * The description of the tool in `file`. Waits as long as other files take, and tries again when the machine is too busy.
   * @throws {ToolError} saying what is wrong with the file.
   */
  async describe(file: string): Promise<ToolDescription> {
    return this.#begun(file, Infinity, new AbortController().signal, (process) => process.loaded);
  }

  /** The tool in `file`, run in a process of this pool. */
  tool(file: string, description: ToolDescription): Tool {
    const { turnMs, startMs, loadMs } = this.#limits;
    return {
      ...description,
      waitMs: turnMs + ATTEMPTS * (startMs + loadMs),
      run: (args, context) => this.#run(file, description, args, context),
    };
  }

  /** Ends every process at once, with all that they have started; calls under way fail. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const closing = new Error('the tools are being closed');
    for (const { turn } of this.#waiting) turn.reject(closing);
    const all = [...this.#processes];
    for (const process of all) process.end(closing);
    await Promise.all(all.map((process) => process.gone));
  }

  async #run(
    file: string,
    { name, maxOutputBytes }: ToolDescription,
    args: unknown,
    context: ToolContext,
  ): Promise<unknown> {
    const { project, runId, threadId, assistantId, callId, extras, secrets } = context;
    const { settings, timeoutMs, signal } = context;
    const call = { project, runId, threadId, assistantId, callId, extras, secrets };
    const allowHosts = this.#options.allowedTo(name);
    const request = { args, call, settings, timeoutMs, maxOutputBytes, allowHosts };
    const log = this.#options.log.child({ tool: name, run_id: runId, call_id: callId });
    const outcome = await this.#begun(file, this.#limits.turnMs, signal, async (process) => {
      await orAborted(process.loaded, signal);
      return process.call(request, { name, signal, log });
    });
    if (outcome.type !== 'answered') throw errorOf(outcome, `${name} failed`);
    return outcome.value;
  }

  /** Does `work` with a process for `file`; with another process when the first ended before the tool could do anything. */
  async #begun<T>(
    file: string,
    turnMs: number,
    signal: AbortSignal,
    work: (process: ToolProcess) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const process = await this.#turn(file, turnMs, signal);
      try {
        return await work(process);
      } catch (error) {
        if (!(error instanceof NotBegun) || attempt === ATTEMPTS || this.#isClosed) throw error;
        this.#options.log.warn({ file, attempt, reason: error.message }, 'a tool is begun again');
      } finally {
        this.#taken.delete(process);
        this.#giveTurns();
      }
    }
  }

  /** A process for `file` that no other call uses. */
  async #turn(file: string, turnMs: number, signal: AbortSignal): Promise<ToolProcess> {
    if (this.#isClosed) throw new Error('the tools are closed');
    if (this.#waiting.size >= MAX_WAITING) throw busy();
    const one: WaitingCall = { file, turn: Promise.withResolvers() };
    const giveUp = (reason: unknown): void => {
      this.#waiting.delete(one);
      one.turn.reject(reason);
    };
    const onAbort = (): void => giveUp(signal.reason);
    // A process that is starting or ending is not at work: a slow machine is no reason to refuse a call.
    const late =
      turnMs === Infinity ? undefined : setInterval(() => this.#areAtWork() && giveUp(busy()), turnMs);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#waiting.add(one);
    if (signal.aborted) onAbort();
    this.#giveTurns();
    try {
      return await one.turn.promise;
    } finally {
      clearInterval(late);
      signal.removeEventListener('abort', onAbort);
    }
  }

  #areAtWork(): boolean {
    return [...this.#processes].every(({ state }) => state === 'working');
  }

  #giveTurns(): void {
    for (const one of this.#waiting) {
      const process = this.#isClosed ? null : this.#processFor(one.file);
      if (process === null) continue;
      this.#waiting.delete(one);
      this.#taken.add(process);
      // Moved to the end, so that the process that has been idle longest stays first.
      this.#processes.delete(process);
      this.#processes.add(process);
      one.turn.resolve(process);
    }
  }

  #processFor(file: string): ToolProcess | null {
    const all = [...this.#processes];
    const free = all.filter((process) => process.state === 'free' && !this.#taken.has(process));
    const own = free.find((process) => process.file === file);
    if (own !== undefined) return own;
    if (all.length < this.#options.processes) return this.#start(file);
    // Its place is needed, and becomes free when the process is gone. One process at a time.
    if (all.every(({ state }) => state !== 'ended')) free[0]?.end(new Error('its place was needed'));
    return null;
  }

  #start(file: string): ToolProcess {
    const { env, log } = this.#options;
    const changed = (): void => this.#giveTurns();
    const process = new ToolProcess({ file, env, limits: this.#limits, log, changed });
    this.#processes.add(process);
    void process.gone.then(() => {
      this.#processes.delete(process);
      this.#giveTurns();
    });
    return process;
  }
}

/** Nothing was begun. */
export class PoolBusy extends ToolError {}

const busy = (): PoolBusy => new PoolBusy('All tool processes are busy. Try again later.');

/** As `promise`, but rejects as soon as `signal` is aborted. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    signal.throwIfAborted();
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function errorOf(outcome: Outcome, what: string): Error {
  switch (outcome.type) {
    case 'arguments':
      return new ToolArgumentError(outcome.message);
    case 'refused':
      return new ToolError(outcome.message);
    case 'failed': {
      const error = new Error(`${what}: ${outcome.message}`);
      error.stack = outcome.stack;
      return error;
    }
    case 'answered':
    case 'described':
      return new Error(`${what}: it answered something else than it was asked`);
  }
}

/**
 * The processes in which tools run that could do harm: loop for ever, block, leak, crash. Started when first needed, one
 * call at a time in each; what overstays is ended with its process. Owns the processes; knows nothing of runs.
 */
import { fileURLToPath } from 'node:url';
import workerpool from 'workerpool';
import type { Logger } from '../log.ts';
import { ToolArgumentError, ToolError, type Tool, type ToolContext } from '../runs/tool.ts';
import { MAX_LOG_LINES, type CallRequest, type ChildEvent, type Outcome } from './child/protocol.ts';
import type { ToolDescription } from './definition.ts';

export interface ToolPoolOptions {
  /** How many may run at once; further calls wait. */
  readonly processes: number;
  /** All that a tool sees of the environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Hosts that the tool of this name may reach besides public ones. */
  readonly allowedTo: (name: string) => readonly string[];
  readonly log: Logger;
}

const CHILD = fileURLToPath(new URL('child/main.ts', import.meta.url));
/** For a free process, and for a new one to come up. */
const WAIT_MS = 10_000;
const DESCRIBE_MS = 10_000;
/** For a tool that heeds its signal to say something before its process is ended. */
const GRACE_MS = 250;
/** Below the streams of the process that owns them, from the first instruction on: a busy tool must not slow those. */
const NICENESS = 10;
const HEAP_LIMIT_MB = 256;
/** Calls that wait; more are refused at once. */
const MAX_WAITING = 1_000;
/** What one call may write to the log; the process itself sends no more ({@link MAX_LOG_LINES}). */
const MAX_LOG_CHARACTERS = 500;

interface Work {
  /** Named in errors and the log. */
  readonly name: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | null;
  readonly log: Logger;
}

export class ToolPool {
  private readonly options: ToolPoolOptions;
  private readonly pool: workerpool.Pool;
  /** The processes that are at work now. */
  private readonly working = new Set<number>();

  constructor(options: ToolPoolOptions) {
    this.options = options;
    this.pool = workerpool.pool(CHILD, {
      workerType: 'process',
      minWorkers: 0,
      maxWorkers: options.processes,
      // Its streams are ours to bound: what a tool prints is not our log.
      emitStdStreams: true,
      forkOpts: {
        env: options.env,
        execPath: 'nice',
        execArgv: ['-n', String(NICENESS), process.execPath, `--max-old-space-size=${HEAP_LIMIT_MB}`],
      },
    });
  }

  /** What the tool in `file` is. @throws {ToolError} saying what is wrong with the file. */
  async describe(file: string): Promise<ToolDescription> {
    const { log } = this.options;
    const work = { name: file, timeoutMs: DESCRIBE_MS, signal: null, log };
    const outcome = await this.work('describe', file, work);
    if (outcome.type !== 'described') throw errorOf(outcome, 'it cannot be loaded');
    return outcome.description;
  }

  /** The tool in `file`, run in a process of this pool. */
  tool(file: string, description: ToolDescription): Tool {
    return {
      ...description,
      waitMs: WAIT_MS,
      run: (args, context) => this.run(file, description, args, context),
    };
  }

  /** Ends every process at once; calls that are under way fail. */
  async close(): Promise<void> {
    for (const pid of this.working) end(pid);
    await this.pool.terminate(true);
  }

  private async run(
    file: string,
    { name, maxOutputBytes }: ToolDescription,
    args: unknown,
    { runId, threadId, assistantId, callId, extras, secrets, settings, timeoutMs, signal }: ToolContext,
  ): Promise<unknown> {
    const call = { runId, threadId, assistantId, callId, extras, secrets };
    const allowHosts = this.options.allowedTo(name);
    const request: CallRequest = { file, args, call, settings, timeoutMs, maxOutputBytes, allowHosts };
    const log = this.options.log.child({ tool: name, run_id: runId, call_id: callId });
    const outcome = await this.work('call', request, { name, timeoutMs, signal, log });
    if (outcome.type !== 'answered') throw errorOf(outcome, `${name} failed`);
    return outcome.value;
  }

  /** Has one request worked on. Whatever becomes of the process, this ends within the waiting time and the request's own. */
  private async work(method: 'describe' | 'call', request: unknown, work: Work): Promise<Outcome> {
    const { name, timeoutMs, signal } = work;
    const settled = Promise.withResolvers<Outcome>();
    let pid: number | null = null;
    let cancel = (): void => {};
    const stop = (reason: unknown): void => {
      settled.reject(reason);
      if (pid === null) cancel();
      else end(pid);
    };
    const onAbort = (): void => stop(signal?.reason);
    const overdue = (): void => stop(new ToolError(`${name} did not answer within ${timeoutMs / 1000} s.`));
    let timer = setTimeout(stop, WAIT_MS, busy());
    const say = journal(work.log);
    const on = (event: ChildEvent): void => {
      if (event.type === 'started') {
        pid = event.pid;
        this.working.add(pid);
        clearTimeout(timer);
        timer = setTimeout(overdue, timeoutMs + GRACE_MS);
      } else if (event.type === 'settled') {
        settled.resolve(event.outcome);
        if (event.isSpent && pid !== null) end(pid);
      } else say(event);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      if (this.pool.stats().pendingTasks >= MAX_WAITING) throw busy();
      const task = this.pool.exec(method, [request], { on });
      cancel = () => void task.cancel();
      task.catch((error: unknown) =>
        settled.reject(new Error('the process of the tool ended', { cause: error })),
      );
      return await settled.promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      if (pid !== null) this.working.delete(pid);
    }
  }
}

const busy = (): ToolError => new ToolError('All tool processes are busy. Try again later.');

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

/** Ends a process that cannot be asked: it may be in a loop. */
function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** Writes what a tool says to the log, as far as one call may. */
function journal(log: Logger): (event: ChildEvent) => void {
  let lines = 0;
  return (event) => {
    if (lines >= MAX_LOG_LINES) return;
    lines += 1;
    if (event.type === 'log') log[event.level](event.fields, event.message.slice(0, MAX_LOG_CHARACTERS));
    else if (event.type === undefined)
      log.info({ text: (event.stdout ?? event.stderr ?? '').slice(0, MAX_LOG_CHARACTERS) }, 'tool printed');
  };
}

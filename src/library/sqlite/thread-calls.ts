/** One thread that has a library in SQLite open, seen from its owner: calls and their answers. */
import { Worker, type Transferable } from 'node:worker_threads';
import { CannotStart } from '../../cannot-start.ts';
import { Superseded } from '../library.ts';
import type { CallArguments, CallName, CallResult, ThreadCall, ThreadData, ThreadReply } from './calls.ts';

/** How many calls may wait; more are refused. */
const MAX_WAITING = 1_000;
/** What a thread may hold beside the vectors and texts that are on their way. */
const HEAP_MB = 256;

interface WaitingAnswer {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

export class LibraryThread {
  readonly #data: ThreadData;
  readonly #waiting = new Map<number, WaitingAnswer>();
  #worker: Worker | null = null;
  #lastId = 0;

  constructor(data: ThreadData) {
    this.#data = data;
  }

  /** Starts the thread now instead of at its first call. @throws {CannotStart} where the library cannot be opened. */
  async open(): Promise<void> {
    const opened = Promise.withResolvers<void>();
    this.#waiting.set(0, opened);
    this.#start();
    await opened.promise;
  }

  /** Calls a method of the thread. @param moved buffers that the thread takes over */
  async call<Name extends CallName>(
    name: Name,
    args: CallArguments<Name>,
    moved: readonly Transferable[] = [],
  ): Promise<CallResult<Name>> {
    if (this.#waiting.size >= MAX_WAITING) throw new Error('too many calls wait for the library');
    const answered = Promise.withResolvers<CallResult<Name>>();
    const worker = this.#worker ?? this.#start();
    const request: ThreadCall = { id: (this.#lastId += 1), name, args };
    worker.postMessage(request, moved);
    this.#waiting.set(request.id, answered);
    worker.ref();
    return answered.promise;
  }

  /** Ends the thread after the calls that wait. */
  async close(): Promise<void> {
    if (this.#worker !== null) await this.call('close', []);
  }

  #start(): Worker {
    const worker = new Worker(new URL('thread.ts', import.meta.url), {
      argv: [this.#data.path, this.#data.role],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    worker.on('message', (reply: ThreadReply) => this.#take(worker, reply));
    worker.on('error', (error: Error) => this.#lost(worker, error));
    worker.on('exit', () => this.#lost(worker, new Error('the thread of the library has ended')));
    this.#worker = worker;
    return worker;
  }

  #take(worker: Worker, reply: ThreadReply): void {
    if ('error' in reply && reply.id === 0) return this.#lost(worker, new CannotStart(reply.error.message));
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    // A thread that nothing is asked of keeps no process alive.
    if (this.#waiting.size === 0) worker.unref();
    if ('error' in reply) waiting?.reject(errorOf(reply.error));
    else waiting?.resolve(reply.value);
  }

  /** The next call starts another thread. */
  #lost(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
  }
}

function errorOf({ name, message }: Pick<Error, 'name' | 'message'>): Error {
  if (name === 'Superseded') return new Superseded(message);
  return name === 'RangeError' ? new RangeError(message) : new Error(`the library failed: ${message}`);
}

/**
 * One Python process in its sandbox, seen from its owner: how it starts, what it is asked, what it may say, and how it
 * ends. Nothing that code does to it can throw here or be taken for the end of another call.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from '../log.ts';
import { eachLine } from '../lines.ts';
import type { KernelFolders, Launched } from './launch.ts';
import { MAX_CALL_BYTES, MAX_LINE_BYTES, readLine, type KernelLine, type KernelRequest } from './protocol.ts';
import type { CodeStatus } from './sandbox.ts';
import { watch } from './watch.ts';

/** How long it may take to start, on a loaded machine. */
const START_MS = 60_000;
/** A killed process takes a moment to be gone; after this the log says that it does not go. */
const GONE_MS = 10_000;
/** Of what an engine says on its standard error before the kernel is up. */
const MAX_WORDS = 2_000;

export interface KernelLimits {
  /** Of a call. */
  readonly timeoutMs: number;
  readonly memoryMb: number;
  /** Default: {@link START_MS}. */
  readonly startMs?: number;
}

export interface KernelCall {
  readonly code: string;
  readonly signal: AbortSignal;
  readonly onLogs: (text: string) => void;
  readonly onImage: (name: string) => void;
}

/** How a call ended. Where a limit or the process itself ended it, `words` say how. */
export interface CallEnd {
  readonly status: CodeStatus;
  readonly words: string | null;
  /** Paths as the kernel says them. */
  readonly files: readonly string[];
  readonly more: number;
}

interface CallUnderWay {
  readonly nonce: string;
  readonly call: KernelCall;
  readonly end: PromiseWithResolvers<CallEnd>;
  bytes: number;
}

export class KernelProcess {
  /** Resolves when it takes code. */
  readonly ready: Promise<void>;
  /** Resolves when nothing of it is left. */
  readonly gone: Promise<void>;
  readonly #launched: Launched;
  readonly #limits: KernelLimits;
  readonly #log: Logger;
  readonly #ready = Promise.withResolvers<void>();
  readonly #gone = Promise.withResolvers<void>();
  readonly #unwatch: () => void;
  #work: CallUnderWay | null = null;
  #isReady = false;
  #isEnded = false;
  #words = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(launched: Launched, folders: KernelFolders, limits: KernelLimits, log: Logger) {
    this.#launched = launched;
    this.#limits = limits;
    this.#log = log;
    this.ready = this.#ready.promise;
    this.gone = this.#gone.promise;
    // Not everybody waits for it.
    this.ready.catch(() => {});
    const { child, isOurs } = launched;
    child.once('error', (error) => {
      this.#words = error.message;
      if (child.pid === undefined) this.#bury();
    });
    child.once('close', () => this.#bury());
    child.stderr?.on('data', (data: Buffer) => {
      if (this.#words.length < MAX_WORDS) this.#words += data.toString('utf8').slice(0, MAX_WORDS);
    });
    if (child.stdout !== null)
      eachLine(child.stdout, MAX_LINE_BYTES, (line, isWhole) => this.#hear(line, isWhole));
    const { startMs = START_MS, memoryMb } = limits;
    this.#timer = setTimeout(() => this.end(`it did not start within ${startMs / 1_000} s`), startMs);
    this.#unwatch = watch({
      pid: isOurs ? (child.pid ?? null) : null,
      memoryMb,
      folders: [folders.data, folders.images],
      isIdle: () => this.#work === null,
      over: (status, words) => this.end(words, status),
    });
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /**
   * Runs one piece of code; one at a time. A call that is over a limit ends with its process.
   * @throws the signal's reason when aborted; that ends the process. An error that names what the engine said when the process does not start.
   */
  async run(call: KernelCall): Promise<CallEnd> {
    const { signal, code } = call;
    signal.throwIfAborted();
    const onAbort = (): void => this.end('it was stopped');
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await this.ready;
      const work: CallUnderWay = { nonce: randomUUID(), call, end: Promise.withResolvers(), bytes: 0 };
      if (this.#isEnded) return ended('ended', 'its process ended');
      this.#work = work;
      const { timeoutMs } = this.#limits;
      this.#timer = setTimeout(
        () => this.end(`it took longer than ${timeoutMs / 1_000} s`, 'timeout'),
        timeoutMs,
      );
      this.#launched.child.stdin?.write(
        `${JSON.stringify({ nonce: work.nonce, code } satisfies KernelRequest)}\n`,
      );
      return await work.end.promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      signal.throwIfAborted();
    }
  }

  /** Ends it at once, with all that it has started. A call under way ends so, with `words` about why. */
  end(words: string, status: CodeStatus = 'ended'): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#unwatch();
    clearTimeout(this.#timer);
    this.#ready.reject(new Error(`the code interpreter did not start: ${words}`));
    this.#work?.end.resolve(ended(status, words));
    this.#work = null;
    this.#launched.end();
    this.#timer = setTimeout(() => {
      this.#log.warn({ pid: this.#launched.child.pid }, 'a process of the code interpreter does not end');
      this.#bury();
    }, GONE_MS);
  }

  #hear(text: string, isWhole: boolean): void {
    if (this.#isEnded) return;
    const line = isWhole ? readLine(text) : null;
    const work = this.#work;
    if (line?.type === 'ready' && !this.#isReady) {
      this.#isReady = true;
      clearTimeout(this.#timer);
      this.#ready.resolve();
      return;
    }
    if (line === null || work === null || line.type === 'ready' || line.nonce !== work.nonce)
      return this.#distrust();
    work.bytes += text.length;
    if (work.bytes > MAX_CALL_BYTES) return this.#distrust();
    this.#take(line, work);
  }

  #take(line: Exclude<KernelLine, { type: 'ready' }>, { call, end }: CallUnderWay): void {
    if (line.type === 'logs') return call.onLogs(line.text.toWellFormed());
    if (line.type === 'image') return call.onImage(line.name);
    clearTimeout(this.#timer);
    this.#work = null;
    end.resolve({
      status: line.raised ? 'raised' : 'completed',
      words: null,
      files: line.files,
      more: line.more,
    });
  }

  /** Code has written what only the kernel writes. It gains nothing by it, but nothing that it says is of use any more. */
  #distrust(): void {
    this.end('it wrote to the channel of the interpreter');
  }

  /** It has ended, by itself or by us, and its pipes are closed. */
  #bury(): void {
    this.end(this.#isReady || this.#words === '' ? 'its process ended' : this.#words.trim());
    clearTimeout(this.#timer);
    for (const stream of this.#launched.child.stdio) stream?.destroy();
    this.#gone.resolve();
  }
}

function ended(status: CodeStatus, words: string): CallEnd {
  return { status, words, files: [], more: 0 };
}

/**
 * What runs a program's code for code_interpreter, seen from who needs it: a sandbox opens kernels, a kernel runs pieces
 * of Python one after the other and keeps their variables. How that is done is the engine's affair.
 */
import type { FileHandle } from 'node:fs/promises';

/** Opens kernels; one for each process that executes runs. */
export interface CodeSandbox {
  /**
   * Waits for a place among the kernels of this process and, on first use, for Python's packages.
   * @throws {NoSandbox} with words for whoever asked, when this machine cannot run code; the signal's reason when aborted.
   */
  open(options: KernelOptions): Promise<Kernel>;
  /** Ends all kernels. */
  close(): Promise<void>;
}

export interface KernelOptions {
  /**
   * The folder that the code sees as `/mnt/data`. The caller's own and absolute, with the files that the code may read put there
   * before, as copies; what the code makes stays there when the kernel is closed. Remove it by `removeFolder` then, and
   * with it, where an owner was killed, the folder `<dataDir>.images` beside it.
   */
  readonly dataDir: string;
  readonly signal: AbortSignal;
  /** Told while the packages are being set up, which takes a minute once: a sentence at a time. */
  readonly onProgress?: (sentence: string) => void;
}

/** One Python process and its variables. One piece of code at a time. */
export interface Kernel {
  /**
   * Runs `code` to its end, or until a limit ends it: then the process is gone with its variables, the next call gets a
   * fresh one, and the logs of both say so.
   * @throws the signal's reason when aborted; the process is ended then. An error for the log when Python does not start.
   */
  run(code: string, options: CodeOptions): Promise<CodeResult>;
  /** Ends the process with all that it has started. Images are gone then; what lies in `dataDir` stays. */
  close(): Promise<void>;
}

export interface CodeOptions {
  readonly signal: AbortSignal;
  /** Called as the code writes. Logs come in pieces; those of a call, joined, are those of its result. */
  readonly onOutput?: (output: KernelOutput) => void;
}

export interface CodeResult {
  readonly status: CodeStatus;
  /** In their order; logs between two images are one output. */
  readonly outputs: readonly KernelOutput[];
  /** What this call has made or changed in `dataDir`. */
  readonly files: readonly SandboxFile[];
}

/**
 * How a piece of code ended: by itself; with a traceback, which is in the logs; over a limit of time, memory or disk; or
 * with its process.
 */
export type CodeStatus = 'completed' | 'raised' | 'timeout' | 'memory' | 'disk' | 'ended';

export type KernelOutput =
  | { readonly type: 'logs'; readonly logs: string }
  | { readonly type: 'image'; readonly image: SandboxFile };

/** A file that code has made. */
export interface SandboxFile {
  /** Below `/mnt/data`, such as `charts/one.png`; of an image its name only. */
  readonly path: string;
  /** When the call ended. Code may go on writing, so read no more than you allow. */
  readonly bytes: number;
  /**
   * Opens it for reading. Never by its path on the host: the code may have put a link there.
   * @throws when it is gone, or no ordinary file any more.
   */
  open(): Promise<FileHandle>;
}

/** This machine or server runs no code. The message is for whoever asked, and names no path. */
export class NoSandbox extends Error {
  override readonly name = 'NoSandbox';
}

/** The refusal where no engine was found, or none is wanted. */
export const NO_INTERPRETER =
  'This server has no code interpreter: install bubblewrap, or set CODE_SANDBOX=docker (docs/files.md).';

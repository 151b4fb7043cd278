/** A kernel as its owner has it: a process that is started when first needed, and replaced when it has ended. */
import { lchown, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../log.ts';
import { fileIn, removeFolder } from './files.ts';
import { KernelProcess, type CallEnd, type KernelLimits } from './kernel-process.ts';
import { isRoot, NOBODY, type CodeEngine, type KernelFolders } from './launch.ts';
import { CallOutputs } from './outputs.ts';
import { MAX_CODE_BYTES, MAX_FILES } from './protocol.ts';
import type { CodeOptions, CodeResult, Kernel, SandboxFile } from './sandbox.ts';

const GONE = 'The variables of earlier calls are gone: Python was started anew.';

export interface SandboxKernelOptions {
  readonly engine: CodeEngine;
  readonly folders: KernelFolders;
  readonly limits: KernelLimits;
  readonly log: Logger;
  /** Called once, when it is closed. */
  readonly closed: () => void;
}

export class SandboxKernel implements Kernel {
  readonly #options: SandboxKernelOptions;
  #process: KernelProcess | null = null;
  #isBusy = false;
  #isClosed = false;
  #hasLost = false;

  private constructor(options: SandboxKernelOptions) {
    this.#options = options;
  }

  /** A kernel whose folders are ready. No process is started yet. */
  static async open(options: SandboxKernelOptions): Promise<SandboxKernel> {
    const { data, images } = options.folders;
    // Left there by an owner that was killed.
    await removeFolder(images);
    await mkdir(images, { mode: 0o700 });
    if (isRoot()) for (const folder of [data, images]) await giveAway(folder);
    return new SandboxKernel(options);
  }

  /** @inheritdoc */
  async run(code: string, { signal, onOutput = () => {} }: CodeOptions): Promise<CodeResult> {
    signal.throwIfAborted();
    if (this.#isClosed) throw new Error('the kernel is closed');
    if (this.#isBusy) throw new Error('the kernel runs another piece of code');
    this.#isBusy = true;
    try {
      const outputs = new CallOutputs(this.#options.folders.images, onOutput);
      if (Buffer.byteLength(code) > MAX_CODE_BYTES) {
        outputs.addNote(`The code was not run: it is longer than ${MAX_CODE_BYTES / 1024} kB.`);
        return { status: 'raised', outputs: await outputs.all(), files: [] };
      }
      const process = await this.#running();
      if (this.#hasLost) outputs.addNote(GONE);
      this.#hasLost = false;
      const end = await process.run({
        code,
        signal,
        onLogs: (text) => outputs.addLogs(text),
        onImage: (name) => outputs.addImage(name),
      });
      return await this.#resultOf(end, outputs);
    } finally {
      this.#isBusy = false;
      this.#hasLost ||= this.#process?.isEnded === true;
    }
  }

  /** @inheritdoc */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#process?.end('the kernel was closed');
    await this.#process?.gone;
    await removeFolder(this.#options.folders.images);
    this.#options.closed();
  }

  async #running(): Promise<KernelProcess> {
    if (this.#process?.isEnded === true) {
      await this.#process.gone;
      this.#process = null;
    }
    const { engine, folders, limits, log } = this.#options;
    this.#process ??= new KernelProcess(engine.start(folders), folders, limits, log);
    return this.#process;
  }

  async #resultOf(end: CallEnd, outputs: CallOutputs): Promise<CodeResult> {
    if (end.words !== null) outputs.addNote(`The code was ended: ${end.words}.`);
    const { data } = this.#options.folders;
    const found = await Promise.all(end.files.slice(0, MAX_FILES).map(async (path) => fileIn(data, path)));
    const files = found.filter((file): file is SandboxFile => file !== null);
    if (end.more > 0) outputs.addNote(`Of the new files, only ${MAX_FILES} are kept.`);
    return { status: end.status, outputs: await outputs.all(), files };
  }
}

/** Makes nobody the owner of a folder and what is in it: as nobody, root runs code. Links stay links. */
async function giveAway(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.map((entry) => join(entry.parentPath, entry.name));
  for (const path of [folder, ...paths]) await lchown(path, NOBODY, NOBODY);
}

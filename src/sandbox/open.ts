/** The sandbox of one process: finds its engine when it starts, and keeps the number of kernels in bounds. */
import { isAbsolute, resolve } from 'node:path';
import type { Logger } from '../log.ts';
import { chooseEngine, type EngineChoice } from './choose.ts';
import { SandboxKernel } from './kernel.ts';
import { Packages } from './packages.ts';
import { Places } from './places.ts';
import { NO_INTERPRETER, NoSandbox, type CodeSandbox, type Kernel, type KernelOptions } from './sandbox.ts';

export interface SandboxSettings {
  readonly codeSandbox: 'auto' | 'bubblewrap' | 'docker' | 'off';
  readonly codeImage: string;
  /** The runtime of Docker; undefined is its default. */
  readonly codeRuntime?: string | undefined;
  /** Besides numpy, pandas, matplotlib, pillow and openpyxl. */
  readonly codePackages: readonly string[];
  readonly codeKernels: number;
  readonly codeMemoryMb: number;
  readonly codeTimeoutS: number;
  /** Where packages are set up. */
  readonly codeFolder: string;
  /** The environment of the engines and of pip; code sees nothing of it. */
  readonly codeEnv: Readonly<Record<string, string>>;
}

export interface SandboxOptions extends SandboxSettings {
  readonly log: Logger;
  readonly now?: () => number;
}

interface Ready extends EngineChoice {
  readonly packages: Packages;
}

/** Opens the sandbox at once; its engine is looked for meanwhile. */
export function openSandbox(options: SandboxOptions): CodeSandbox {
  return new Sandbox(options);
}

class Sandbox implements CodeSandbox {
  readonly #options: SandboxOptions;
  readonly #ready: Promise<Ready | null>;
  readonly #places: Places;
  readonly #kernels = new Set<Kernel>();
  #packages: Packages | null = null;

  constructor(options: SandboxOptions) {
    this.#options = options;
    this.#places = new Places(options.codeKernels);
    this.#ready = this.#prepare();
    this.#ready.catch(() => {});
  }

  async #prepare(): Promise<Ready | null> {
    const { codeSandbox: wanted, codeImage: image, codeRuntime, codeMemoryMb, codeEnv: env } = this.#options;
    const { codeFolder, codePackages: more, log, now = () => performance.now() } = this.#options;
    const limits = { memoryMb: codeMemoryMb };
    const choice = await chooseEngine({ wanted, image, runtime: codeRuntime ?? null, limits, env, log });
    if (choice === null) return null;
    const { engine, fits } = choice;
    this.#packages = new Packages({ folder: resolve(codeFolder), fits, more, engine, env, log, now });
    return { ...choice, packages: this.#packages };
  }

  /** @inheritdoc */
  async open({ dataDir, signal, onProgress }: KernelOptions): Promise<Kernel> {
    if (!isAbsolute(dataDir)) throw new Error('the folder of a kernel must be absolute');
    const ready = await this.#ready;
    if (ready === null) throw new NoSandbox(NO_INTERPRETER);
    await ready.packages.ready(signal, onProgress);
    const leave = await this.#places.take(signal);
    try {
      const { codeMemoryMb: memoryMb, codeTimeoutS, log } = this.#options;
      const kernel = await SandboxKernel.open({
        engine: ready.engine,
        folders: { data: dataDir, images: `${dataDir}.images`, packages: ready.packages.folder },
        limits: { memoryMb, timeoutMs: codeTimeoutS * 1_000 },
        log,
        closed: () => {
          this.#kernels.delete(kernel);
          leave();
        },
      });
      this.#kernels.add(kernel);
      return kernel;
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** @inheritdoc */
  async close(): Promise<void> {
    this.#places.close();
    this.#packages?.close();
    await Promise.all([...this.#kernels].map(async (kernel) => kernel.close()));
  }
}

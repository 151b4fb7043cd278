/** What an engine is to the kernels: a way to start one, and to end all of it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

/** The folder of the kernel and of the set-up of its packages. */
export const KERNEL_FOLDER = fileURLToPath(new URL('python', import.meta.url));

export interface CodeEngine {
  readonly name: 'bubblewrap' | 'docker';
  /** The command that sets up packages in this folder, outside of any sandbox. */
  setup(folder: string, packages: readonly string[]): readonly string[];
  start(folders: KernelFolders): Launched;
}

/** What a kernel sees of this machine's folders. */
export interface KernelFolders {
  readonly data: string;
  readonly images: string;
  /** Where packages were set up; null for a kernel without. */
  readonly packages: string | null;
}

export interface Launched {
  readonly child: ChildProcess;
  /** Whether its memory is that of the child and its children, so that we must watch it. */
  readonly isOurs: boolean;
  /** Ends it and all that it has started, at once. */
  end(): void;
}

export interface EngineLimits {
  /** Of all processes of a kernel together. */
  readonly memoryMb: number;
}

/** Processes and threads of a kernel. */
export const MAX_TASKS = 64;
/** A folder in memory: /tmp, and /dev/shm. */
export const TMP_BYTES = 64 * 1024 * 1024;
const FILE_BYTES = 256 * 1024 * 1024;
const DESCRIPTORS = 128;
/** Of one process, over all its calls. Calls have a limit of time; this ends what they have left behind. */
const CPU_S = 3_600;
/** Address space is taken before it is used: so much more of it than memory. */
const ADDRESSES_PER_BYTE = 4;
/** Libraries start a thread for each processor, which has its price in address space. */
const THREADS = '4';
/**
 * A kernel runs at a lower priority than its owner from its first instruction on: busy code must not slow the owner's
 * streams.
 */
const NICENESS = '10';

/** The limits that a kernel lays upon itself before it takes code, as its argument. */
export function kernelLimits({ memoryMb }: EngineLimits, tasks: number | null): string {
  const limits = {
    AS: memoryMb * 1024 * 1024 * ADDRESSES_PER_BYTE,
    FSIZE: FILE_BYTES,
    NOFILE: DESCRIPTORS,
    CPU: CPU_S,
    CORE: 0,
    MSGQUEUE: 0,
    ...(tasks !== null && { NPROC: tasks }),
  };
  return JSON.stringify(limits);
}

/** The whole environment of a kernel. */
export const KERNEL_ENVIRONMENT: Readonly<Record<string, string>> = {
  HOME: '/tmp',
  LANG: 'C.UTF-8',
  MPLBACKEND: 'module://charts',
  MPLCONFIGDIR: '/tmp/matplotlib',
  OMP_NUM_THREADS: THREADS,
  OPENBLAS_NUM_THREADS: THREADS,
  PATH: '/usr/local/bin:/usr/bin:/bin',
  TZ: 'UTC',
};

/** Nobody: whom root makes of itself before code runs, and as whom all code sees itself in bubblewrap. */
export const NOBODY = 65_534;
export const isRoot = (): boolean => process.getuid?.() === 0;

export interface LaunchOptions {
  /** The whole environment of the command; kernels get their own. */
  readonly env: Readonly<Record<string, string>>;
  /** For its descriptor 3. */
  readonly extra?: Buffer;
}

/** Starts `command` at low priority, with pipes. */
export function launch(command: readonly string[], { env, extra }: LaunchOptions): ChildProcess {
  const child = spawn('nice', ['-n', NICENESS, ...command], {
    env,
    stdio: ['pipe', 'pipe', 'pipe', extra === undefined ? 'ignore' : 'pipe'],
    // A group of its own: Ctrl-C reaches only us, and we choose when it ends.
    detached: true,
  });
  for (const stream of child.stdio) stream?.on('error', () => {});
  const given = child.stdio[3];
  if (given instanceof Writable) given.end(extra);
  return child;
}

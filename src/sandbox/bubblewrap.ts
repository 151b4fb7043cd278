/**
 * Kernels in bubblewrap: namespaces of their own for everything, no capability, a filter of system calls, and of the
 * file system only Python, its packages, and the two folders of the kernel. There is no /proc: it would tell about the
 * machine, and nothing needs it.
 */
import { release } from 'node:os';
import { basename, join } from 'node:path';
import type { Interpreter } from './interpreter.ts';
import {
  isRoot,
  KERNEL_ENVIRONMENT,
  KERNEL_FOLDER,
  kernelLimits,
  launch,
  MAX_TASKS,
  NOBODY,
  TMP_BYTES,
  type CodeEngine,
  type EngineLimits,
  type KernelFolders,
} from './launch.ts';
import { systemCallFilter } from './seccomp.ts';

/** Where root makes folders reachable for nobody: see python/nobody.py. */
const STAGE = '/tmp';

export interface BubblewrapOptions {
  readonly python: Interpreter;
  /** Whether this bubblewrap can forbid further user namespaces; where not, only the filter does. */
  readonly canDisableNamespaces: boolean;
  readonly limits: EngineLimits;
  readonly env: Readonly<Record<string, string>>;
}

/** The engine; null where there is no filter for this machine. */
export function bubblewrap(options: BubblewrapOptions, arch: string = process.arch): CodeEngine | null {
  const filter = systemCallFilter(arch);
  if (filter === null) return null;
  const { python, env } = options;
  return {
    name: 'bubblewrap',
    setup: (folder, packages) => [
      python.executable,
      '-I',
      join(KERNEL_FOLDER, 'setup.py'),
      folder,
      ...packages,
    ],
    start: (folders) => {
      const child = launch(commandOf(folders, options), { env, extra: filter });
      // Its first process in the sandbox ends with it, and with that all others.
      return { child, isOurs: true, end: () => void child.kill('SIGKILL') };
    },
  };
}

/**
 * The command. Root becomes nobody first: as root's, the kernel would not count the processes of the code, and files of
 * root would take it for their owner.
 */
function commandOf(folders: KernelFolders, options: BubblewrapOptions): readonly string[] {
  if (!isRoot()) return sandboxOf(folders, options, (path) => path);
  const staged: string[] = [];
  const command = sandboxOf(folders, options, (path) => {
    staged.push(path);
    return join(STAGE, String(staged.length - 1));
  });
  const { executable } = options.python;
  const nobody = [join(KERNEL_FOLDER, 'nobody.py'), String(NOBODY), STAGE, JSON.stringify(staged)];
  return [executable, '-I', '-S', '-B', ...nobody, ...command];
}

/** Where a path of this machine is found by whoever executes bubblewrap. */
type Reach = (path: string) => string;

function sandboxOf(folders: KernelFolders, options: BubblewrapOptions, reach: Reach): readonly string[] {
  const { python, canDisableNamespaces, limits } = options;
  const { files, executable, env } = pythonIn(python, reach);
  const readOnly = (path: string, place: string): readonly string[] => ['--ro-bind', reach(path), place];
  const inMemory = (place: string): readonly string[] => ['--size', String(TMP_BYTES), '--tmpfs', place];
  const environment = Object.entries({ ...KERNEL_ENVIRONMENT, ...env });
  const packages =
    folders.packages === null
      ? []
      : [
          readOnly(join(folders.packages, 'packages'), '/packages'),
          readOnly(join(folders.packages, 'matplotlib'), '/fonts'),
        ];
  return [
    ['bwrap', '--unshare-all', '--unshare-user', ...(canDisableNamespaces ? ['--disable-userns'] : [])],
    ['--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--seccomp', '3'],
    ['--uid', String(NOBODY), '--gid', String(NOBODY), '--hostname', 'sandbox', '--clearenv'],
    environment.flatMap(([name, value]) => ['--setenv', name, value]),
    SYSTEM.flatMap((path) => ['--ro-bind-try', path, path]),
    files,
    readOnly(KERNEL_FOLDER, '/kernel'),
    ...packages,
    ['--dev', '/dev', ...inMemory('/dev/shm'), '--remount-ro', '/dev', ...inMemory('/tmp')],
    ['--bind', reach(folders.data), '/mnt/data', '--bind', reach(folders.images), '/mnt/images'],
    // Everything else lies in memory that has no limit.
    ['--remount-ro', '/', '--'],
    [executable, '-I', '-S', '-B', '-X', 'utf8', '/kernel/kernel.py', kernelLimits(limits, tasksHere())],
  ].flat();
}

/** Libraries that Python's own are linked with, and fonts for charts. */
const SYSTEM = [
  '/usr/lib',
  '/usr/lib64',
  '/lib',
  '/lib64',
  '/usr/share/fonts',
  '/usr/local/share/fonts',
  '/etc/ld.so.cache',
];

interface PlacedPython {
  readonly files: readonly string[];
  readonly executable: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The system's Python where it is; any other in a place that tells nothing of this machine. */
function pythonIn({ executable, prefix }: Interpreter, reach: Reach): PlacedPython {
  if (prefix === '/usr') return { files: ['--ro-bind', executable, executable], executable, env: {} };
  const place = join('/python/bin', basename(executable));
  const library = ['--ro-bind', reach(join(prefix, 'lib')), '/python/lib'];
  return {
    files: [...library, '--ro-bind', reach(executable), place],
    executable: place,
    env: { LD_LIBRARY_PATH: '/python/lib' },
  };
}

/**
 * Before Linux 5.14 this limit counts all processes of the user, and those of Longrun are more. The watch over the kernel
 * counts its own.
 */
function tasksHere(): number | null {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return major > 5 || (major === 5 && minor >= 14) ? MAX_TASKS : null;
}

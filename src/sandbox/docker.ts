/**
 * Kernels in containers of Docker (or of Podman under its name): no network, nothing that can be written but the two
 * folders of the kernel and a little memory, no capability, Docker's own filter of system calls. With gVisor as its
 * runtime, code does not meet the kernel of this machine at all.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
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

export interface DockerOptions {
  readonly image: string;
  /** Another runtime than the default, such as `runsc`. */
  readonly runtime: string | null;
  readonly limits: EngineLimits;
  readonly env: Readonly<Record<string, string>>;
}

/** Whoever has the folders, so that both sides can write there. */
function user(): string {
  return isRoot() ? `${NOBODY}:${NOBODY}` : `${process.getuid?.() ?? NOBODY}:${process.getgid?.() ?? NOBODY}`;
}

/** The engine. */
export function docker(options: DockerOptions): CodeEngine {
  const { env, image } = options;
  return {
    name: 'docker',
    // In the same image, so that the packages fit its Python; with network, and without any code of ours or others'.
    setup: (folder, packages) =>
      [
        ['docker', 'run', '--rm', '--user', isRoot() ? '0:0' : user(), '--env', 'HOME=/tmp'],
        ['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--log-driver', 'none'],
        ['--volume', `${KERNEL_FOLDER}:/kernel:ro`, '--volume', `${folder}:/setup`],
        [image, 'python3', '-I', '/kernel/setup.py', '/setup', ...packages],
      ].flat(),
    start: (folders) => {
      const name = `longrun-code-${randomUUID()}`;
      const child = launch(commandOf(name, folders, options), { env });
      const end = (): void => {
        child.kill('SIGKILL');
        // The container is the daemon's child, not ours. Its kernel also ends when nobody is left to ask it.
        const remover = spawn('docker', ['rm', '--force', name], { env, stdio: 'ignore', detached: true });
        remover.on('error', () => {});
        remover.unref();
      };
      return { child, isOurs: false, end };
    },
  };
}

function commandOf(name: string, folders: KernelFolders, options: DockerOptions): readonly string[] {
  const { image, runtime, limits } = options;
  const volume = (from: string, to: string): readonly string[] => ['--volume', `${from}:${to}`];
  const memory = `${limits.memoryMb}m`;
  const packages =
    folders.packages === null
      ? []
      : [
          volume(`${folders.packages}/packages`, '/packages:ro'),
          volume(`${folders.packages}/matplotlib`, '/fonts:ro'),
        ];
  return [
    ['docker', 'run', '--interactive', '--rm', '--name', name, '--label', 'longrun=code'],
    runtime === null ? [] : ['--runtime', runtime],
    ['--network', 'none', '--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'],
    // Both limits are the same: no swap.
    ['--memory', memory, '--memory-swap', memory, '--pids-limit', String(MAX_TASKS)],
    ['--ipc', 'private', '--shm-size', String(TMP_BYTES), '--tmpfs', `/tmp:size=${TMP_BYTES},mode=1777`],
    ['--user', user(), '--hostname', 'sandbox', '--log-driver', 'none', '--workdir', '/mnt/data'],
    Object.entries(KERNEL_ENVIRONMENT).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
    volume(KERNEL_FOLDER, '/kernel:ro'),
    ...packages,
    volume(folders.data, '/mnt/data'),
    volume(folders.images, '/mnt/images'),
    [image, 'python3', '-I', '-B', '-X', 'utf8', '/kernel/kernel.py', kernelLimits(limits, null)],
  ].flat();
}

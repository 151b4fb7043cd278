/** Child processes of the bench, and what the system says of them: processor time and memory, from /proc. */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const TICKS_PER_S = 100;
const children = new Set<ChildProcess>();
/** Those that lead a group of their own: what they have started ends with them. */
const leaders = new WeakSet<ChildProcess>();

/** Whatever ends the bench, its children end with it. */
process.on('exit', () => {
  for (const child of children) killed(child);
});

function killed(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined || !leaders.has(child)) {
    child.kill('SIGKILL');
    return;
  }
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left in the group.
  }
}

/** Ends all of them in peace, newest first: a service ends its own processes. */
export async function stopAll(): Promise<void> {
  for (const child of [...children].toReversed()) await ended(child);
}

function kept(child: ChildProcess): ChildProcess {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** A process of this folder that tells its port, or does tasks. */
export interface Helper<Task = never, Result = never> {
  readonly pid: number;
  readonly port: number;
  readonly do: (task: Task) => Promise<Result>;
  readonly stop: () => Promise<void>;
}

/** Starts `bench/<file>`. @throws when it ends before it has told its port. */
export async function startHelper<Task = never, Result = never>(
  file: string,
  args: readonly string[] = [],
): Promise<Helper<Task, Result>> {
  const child = kept(fork(join(import.meta.dirname, file), args, { serialization: 'advanced' }));
  const { port } = await message<{ port: number }>(child, file);
  return {
    pid: child.pid ?? 0,
    port,
    do: async (task) => {
      const answered = message<{ seen: Result } | { problem: string }>(child, file);
      child.send({ task });
      const answer = await answered;
      if ('problem' in answer) throw new Error(`${file}: ${answer.problem}`);
      return answer.seen;
    },
    stop: async () => await ended(child),
  };
}

async function message<T>(child: ChildProcess, file: string): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const onExit = (code: number | null): void => reject(new Error(`bench/${file} ended with ${code}`));
  child.once('exit', onExit);
  child.once('message', (value: T) => {
    child.off('exit', onExit);
    resolve(value);
  });
  return await promise;
}

/** A command that runs until it is stopped; its output goes nowhere unless asked for. */
export interface Command {
  readonly pid: number;
  readonly isOver: () => boolean;
  readonly stop: () => Promise<void>;
}

/** Starts a command in `folder`, in a process group of its own. */
export function startCommand(
  command: readonly [string, ...string[]],
  folder: string,
  env: NodeJS.ProcessEnv,
): Command {
  const [file, ...args] = command;
  const child = kept(spawn(file, args, { cwd: folder, env, stdio: 'ignore', detached: true }));
  leaders.add(child);
  child.on('error', () => {});
  return {
    pid: child.pid ?? 0,
    isOver: () => child.exitCode !== null || child.signalCode !== null || child.pid === undefined,
    stop: async () => await ended(child),
  };
}

/** Runs a command to its end. @throws with its error output when it fails. */
export async function run(command: readonly [string, ...string[]], folder: string): Promise<void> {
  const [file, ...args] = command;
  const child = kept(spawn(file, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] }));
  let problem = '';
  child.stderr?.on('data', (piece: Buffer) => (problem += piece.toString()));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once('error', reject);
  child.once('close', (code) => {
    if (code === 0) resolve();
    else reject(new Error(`${command.join(' ')} failed: ${problem.trim().slice(-500)}`));
  });
  await promise;
}

/** Asks the child itself, which may need what it has started, and then ends whatever of that is left. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const { promise, resolve } = Promise.withResolvers<void>();
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
    await promise;
  }
  killed(child);
}

/** A running process, and what it is for. */
export interface Process {
  readonly pid: number;
  readonly role: string;
}

/** A process and everything that it started. */
export function treeOf(root: number): readonly Process[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => found(Number(name)));
  const below = (parent: number): readonly Process[] =>
    all.filter((each) => each.parent === parent).flatMap((each) => [each, ...below(each.pid)]);
  return [...all.filter(({ pid }) => pid === root), ...below(root)].filter(({ role }) => role !== 'sh');
}

function found(pid: number): readonly (Process & { readonly parent: number })[] {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    return [{ pid, parent: Number(statOf(pid)[1]), role: roleOf(command) }];
  } catch {
    return []; // It has just ended.
  }
}

const ROLES: readonly (readonly [RegExp, string])[] = [
  [/redis-server/, 'redis'],
  [/api\/main\.ts/, 'api'],
  [/worker\/main\.ts/, 'worker'],
  [/run\.mjs start|src\/main\.ts/, 'main'],
  [/leash|\/bin\/sh/, 'sh'],
];

function roleOf(command: string): string {
  return ROLES.find(([pattern]) => pattern.test(command))?.[1] ?? 'other';
}

/** The fields after the command's name, which may hold blanks. */
function statOf(pid: number): readonly string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(') ') + 2).split(' ');
}

/** The processor time that the processes have used so far, in seconds, by role. */
export function processorOf(processes: readonly Process[]): ReadonlyMap<string, number> {
  return sumBy(processes, (pid) => {
    const stat = statOf(pid);
    return (Number(stat[11]) + Number(stat[12])) / TICKS_PER_S;
  });
}

/** Their resident memory, in MB, by role. */
export function memoryOf(processes: readonly Process[]): ReadonlyMap<string, number> {
  return sumBy(processes, (pid) => {
    const line = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(line ?? 0) / 1024;
  });
}

function sumBy(processes: readonly Process[], value: (pid: number) => number): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const { pid, role } of processes) {
    try {
      sums.set(role, (sums.get(role) ?? 0) + value(pid));
    } catch {
      // It has just ended.
    }
  }
  return sums;
}

export const total = (sums: ReadonlyMap<string, number>): number =>
  [...sums.values()].reduce((sum, value) => sum + value, 0);

/** The mean number of processes that wanted a processor in the last minute. */
export const loadNow = (): number => Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0]);

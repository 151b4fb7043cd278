/**
 * A process that we have started, and everything that it starts: all of them end together, however it ends, even when
 * we are killed outright. Owns the ways to find them: the process group and, on Linux, a mark in the environment, which
 * processes inherit even if they leave the group or outlive their parents.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '../log.ts';

const MARK_NAME = 'LONGRUN_FAMILY';
/** A process may start another one while it is being ended, and a killed process takes a moment to be gone. */
const ROUNDS = 50;
const ROUND_MS = 20;

/**
 * A shell of a megabyte that waits for us to end: then the pipe that only we hold closes. It finds processes by the
 * same two traces as {@link endMembers}. A thread of our own process would end with it.
 */
const GUARDIAN = `read -r _
kill -s KILL -- "-$1"
grep -laF -- "$2" /proc/[0-9]*/environ | while IFS=/ read -r _ _ pid _; do kill -s KILL "$pid"; done`;

/** What distinguishes the members of a family from other processes. */
export interface Traces {
  /** The process group, named by the pid of its leader. */
  readonly group: number;
  /** In the environment of each member. */
  readonly mark: string;
}

export class Family {
  /** In the environment of each member that has not cleared its environment. */
  readonly mark = randomUUID();
  /** To be added to the environment of the first process. */
  readonly env: Readonly<Record<string, string>> = { [MARK_NAME]: this.mark };
  readonly #log: Logger;
  #leader: number | null = null;
  #guardian: ChildProcess | null = null;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** `leader` is the first process. It was started `detached`, which makes it the leader of a group of its own. */
  begin(leader: number): void {
    this.#leader = leader;
    const guardian = spawn('/bin/sh', ['-c', GUARDIAN, 'sh', String(leader), this.mark], {
      env: { PATH: '/usr/bin:/bin' },
      stdio: ['pipe', 'ignore', 'ignore'],
      // A signal to our own group must not end it as well.
      detached: true,
    });
    guardian.on('error', (err) =>
      this.#log.warn({ err }, 'nobody will end these processes when we are killed'),
    );
    guardian.stdin.on('error', () => {});
    guardian.unref();
    this.#guardian = guardian;
  }

  /** Sends a signal to all in the group. */
  signal(signal: NodeJS.Signals): void {
    if (this.#leader === null) return;
    try {
      process.kill(-this.#leader, signal);
    } catch {
      // No process of the group is left.
    }
  }

  /** Ends all of them, inside the group or not. Call it when the leader has ended, because the pid may soon be reused. */
  async end(): Promise<void> {
    if (this.#leader === null) return;
    this.signal('SIGKILL');
    const areGone = await endMembers({ group: this.#leader, mark: this.mark });
    if (!areGone) this.#log.warn({ pid: this.#leader }, 'processes that this one has started do not end');
    this.#leader = null;
    this.#guardian?.kill('SIGKILL');
  }
}

/**
 * Ends all members but `spared`, including those started meanwhile. Finds none where there is no `/proc`.
 * @returns whether none is left.
 */
export async function endMembers(traces: Traces, spared?: number): Promise<boolean> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const found = (await members(traces)).filter((pid) => pid !== spared);
    if (found.length === 0) return true;
    for (const pid of found) kill(pid);
    await pause(ROUND_MS);
  }
  return false;
}

async function members(traces: Traces): Promise<readonly number[]> {
  const entries = await readdir('/proc').catch(() => []);
  const pids = entries.filter((name) => /^\d+$/.test(name)).map(Number);
  const found: number[] = [];
  // One after the other: there is no hurry, and this process may have streams to serve.
  for (const pid of pids) if (await isMember(pid, traces)) found.push(pid);
  return found;
}

async function isMember(pid: number, { group, mark }: Traces): Promise<boolean> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    // `pid (name) state parent group …`; the name may hold anything.
    const [state, , inGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie: it has ended, and its parent has not collected its exit status.
    if (state === 'Z') return false;
    if (Number(inGroup) === group) return true;
    return (await readFile(`/proc/${pid}/environ`, 'latin1')).includes(`${MARK_NAME}=${mark}`);
  } catch {
    // It has ended, or belongs to another user.
    return false;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

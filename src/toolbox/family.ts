/**
 * A process that was started for us, and everything that it starts: all of them end together, however it ends and even when
 * we are killed outright. Owns the ways to find them: the process group; on Linux also a mark in the environment, which
 * those inherit that have left the group or outlived their parents.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '../log.ts';

const MARK_NAME = 'LONGRUN_FAMILY';
/** A process that is ended may start another one at that moment; what is killed takes a moment to be gone. */
const ROUNDS = 50;
const ROUND_MS = 20;

/**
 * A shell of a megabyte that waits for us to end: the pipe that only we hold closes then. It goes by the same two traces as
 * {@link endMembers}. A thread in our own process would end with it.
 */
const GUARDIAN = `read -r _
kill -s KILL -- "-$1"
grep -laF -- "$2" /proc/[0-9]*/environ | while IFS=/ read -r _ _ pid _; do kill -s KILL "$pid"; done`;

/** What tells the members of a family from other processes. */
export interface Traces {
  /** The process group, named by the pid of its leader. */
  readonly group: number;
  /** In the environment of each. */
  readonly mark: string;
}

export class Family {
  /** In the environment of each member that has not thrown it away. */
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
      // What ends our own group must not end it, too.
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
      // Nobody of the group is left.
    }
  }

  /** Ends all of them, wherever they have gone. To be called when the leader has ended, because its pid is free soon after. */
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
 * Ends all members but `spared`, those included that they start meanwhile. Finds none where there is no `/proc`.
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
  // One after the other: this is in no hurry, and whoever asks may have streams to serve.
  for (const pid of pids) if (await isMember(pid, traces)) found.push(pid);
  return found;
}

async function isMember(pid: number, { group, mark }: Traces): Promise<boolean> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    // `pid (name) state parent group …`; the name may hold anything.
    const [state, , inGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // It has ended; only its parent has not asked how.
    if (state === 'Z') return false;
    if (Number(inGroup) === group) return true;
    return (await readFile(`/proc/${pid}/environ`, 'latin1')).includes(`${MARK_NAME}=${mark}`);
  } catch {
    // It has ended, or is somebody else's.
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

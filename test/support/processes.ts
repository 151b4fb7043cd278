/** What the processes of this machine are, as Linux tells it in /proc. */
import { readdirSync, readFileSync } from 'node:fs';

/** A process; the time at which it started tells it from a later one with its number. */
export interface SeenProcess {
  readonly pid: number;
  readonly startedAt: string;
  readonly name: string;
}

/** All processes that a process has started, and those that they have, and so on. */
export function descendantsOf(pid: number): readonly SeenProcess[] {
  const all = everyone();
  const below = (parent: number): readonly SeenProcess[] =>
    all.filter((one) => one.parent === parent).flatMap((one) => [one, ...below(one.pid)]);
  return below(pid).map(({ pid: own, startedAt, name }) => ({ pid: own, startedAt, name }));
}

/** Those of them that are still there; a process that has ended and waits for its parent is not. */
export function stillThere(some: readonly SeenProcess[]): readonly SeenProcess[] {
  const all = everyone();
  return some.filter(({ pid, startedAt }) =>
    all.some((one) => one.pid === pid && one.startedAt === startedAt),
  );
}

/** Those that were started with this setting in their environment, such as `NAME=value`, by a user who lets us look. */
export function processesWith(setting: string): readonly SeenProcess[] {
  return everyone().filter(({ pid }) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(setting);
    } catch {
      return false;
    }
  });
}

function everyone() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => statOf(Number(name)) ?? []);
}

/** The second field is a name in brackets, which may hold anything. */
function statOf(pid: number) {
  try {
    const [, name = '', rest = ''] =
      /^\d+ \((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    const fields = rest.split(' ');
    if (fields[0] === 'Z') return null;
    return { pid, name, parent: Number(fields[1]), startedAt: fields[19] ?? '' };
  } catch {
    // It has ended since.
    return null;
  }
}

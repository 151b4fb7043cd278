/**
 * The watch over one kernel from outside: the memory and the number of all its processes together, and the disk that its
 * folders take. Limits of single processes, which the kernel lays upon itself, cannot say that.
 */
import { Dir } from 'node:fs';
import { opendir, lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { codeOf } from './files.ts';
import type { CodeStatus } from './sandbox.ts';

const MEMORY_ROUND_MS = 100;
/** Every so many rounds, the disk as well. */
const DISK_ROUNDS = 4;
/** While no call is under way, a round is this much longer. */
const IDLE_FACTOR = 10;
const MAX_ENTRIES = 10_000;
/** As many processes and threads as the kernel may have, and some for what ends just now. */
const MAX_TASKS = 96;
/** What a kernel may add to its folders. */
const MAX_DISK_MB = 512;
const MB = 1024 * 1024;

export interface WatchOptions {
  /** The first process; null where an engine watches by itself. */
  readonly pid: number | null;
  readonly memoryMb: number;
  readonly folders: readonly string[];
  readonly isIdle: () => boolean;
  /** Called once, with how the call ends and the words for it. */
  readonly over: (status: CodeStatus, words: string) => void;
}

/** Watches until it is stopped or a limit is over. Returns how to stop it. */
export function watch(options: WatchOptions): () => void {
  const stop = new AbortController();
  // What cannot be watched must not go on.
  goOn(options, stop).catch(() => options.over('ended', 'it could not be watched'));
  return () => stop.abort();
}

async function goOn(options: WatchOptions, stop: AbortController): Promise<void> {
  const { pid, memoryMb, folders, isIdle, over } = options;
  const { signal } = stop;
  const before = await sizeOf(folders);
  for (let round = 0; !signal.aborted; round += 1) {
    const reason =
      (pid === null ? null : tooMuch(await useOf(pid, memoryMb), memoryMb)) ??
      (round % DISK_ROUNDS === 0 ? tooBig(await sizeOf(folders), before) : null);
    if (signal.aborted) return;
    if (reason !== null) return over(...reason);
    const ms = MEMORY_ROUND_MS * (isIdle() ? IDLE_FACTOR : 1);
    await pause(ms, undefined, { ref: false, signal }).catch(() => {});
  }
}

type Reason = readonly [status: CodeStatus, words: string];

function tooMuch(use: Use, memoryMb: number): Reason | null {
  if (use.memoryMb > memoryMb) return ['memory', `it took more than ${memoryMb} MB of memory`];
  return use.tasks > MAX_TASKS ? ['ended', 'it started too many processes'] : null;
}

function tooBig(now: Size, before: Size): Reason | null {
  if (now.megabytes - before.megabytes > MAX_DISK_MB)
    return ['disk', `it wrote more than ${MAX_DISK_MB} MB of files`];
  return now.entries > MAX_ENTRIES
    ? ['disk', `it made more than ${MAX_ENTRIES} files, or folders that cannot be read`]
    : null;
}

interface Use {
  readonly memoryMb: number;
  readonly tasks: number;
}

/** What a process and all below it use. */
async function useOf(pid: number, limitMb: number): Promise<Use> {
  const pids = await treeOf(pid);
  const each = await Promise.all(pids.map(async (one) => statusOf(one)));
  const tasks = sum(each.map((one) => one.tasks));
  const memoryMb = sum(each.map((one) => one.memoryMb));
  // Processes that were forked share most of their memory, and each has it in this sum.
  if (memoryMb <= limitMb) return { memoryMb, tasks };
  return { memoryMb: sum(await Promise.all(pids.map(async (one) => shareOf(one)))), tasks };
}

async function treeOf(root: number): Promise<readonly number[]> {
  const pids = [root];
  // Grows while it is walked.
  for (const pid of pids) {
    const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
    for (const thread of threads) {
      const children = await read(`/proc/${pid}/task/${thread}/children`);
      pids.push(...(children.match(/\d+/g) ?? []).map(Number));
    }
  }
  return pids;
}

async function statusOf(pid: number): Promise<Use> {
  const text = await read(`/proc/${pid}/status`);
  return {
    memoryMb: (field(text, 'RssAnon') + field(text, 'RssShmem')) / 1024,
    tasks: field(text, 'Threads'),
  };
}

/** The memory of a process, with what it shares counted in parts. */
async function shareOf(pid: number): Promise<number> {
  const text = await read(`/proc/${pid}/smaps_rollup`);
  return (field(text, 'Pss_Anon') + field(text, 'Pss_Shmem')) / 1024 || (await statusOf(pid)).memoryMb;
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

/** Processes end while they are looked at. */
async function read(path: string): Promise<string> {
  return readFile(path, 'latin1').catch(() => '');
}

interface Size {
  readonly megabytes: number;
  readonly entries: number;
}

/** What folders take on the disk. Stops counting where there is too much of it. */
async function sizeOf(folders: readonly string[]): Promise<Size> {
  let bytes = 0;
  let entries = 0;
  const open = [...folders];
  for (const folder of open) {
    const listing = await opendir(folder).catch((error: unknown) => error);
    if (!(listing instanceof Dir)) {
      // Gone meanwhile. But what is there and cannot be looked into is not counted: too deep, or closed.
      if (codeOf(listing) === 'ENOENT') continue;
      return { megabytes: 0, entries: Infinity };
    }
    for await (const entry of listing) {
      entries += 1;
      if (entries > MAX_ENTRIES) return { megabytes: bytes / MB, entries };
      const path = join(folder, entry.name);
      if (entry.isDirectory()) open.push(path);
      // What it takes, not its length: a file may have holes.
      else bytes += ((await lstat(path).catch(() => null))?.blocks ?? 0) * 512;
    }
  }
  return { megabytes: bytes / MB, entries };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

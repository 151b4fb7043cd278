/** What must be gone when nothing runs any more: keys without an expiry, jobs, locks, subscriptions, connections. */
import { setTimeout as delay } from 'node:timers/promises';
import { readFileSync } from 'node:fs';
import type { Violation } from './checkers.ts';
import type { Deployment } from './deployment.ts';

/** Kinds of keys that must expire; the names are those of src/store/keys.ts. */
const EXPIRING =
  /:(?:log|audience|photo|answer|approval|input|tool|trace):|:usage\}:|:sweeper$|:files:looked$|:apis$/;
/** A job of a queue, or its lock: of a run, or of a file that is to be read. */
const JOB = /:(?:runs:run_\w+-\d+|index:vs_\w+-[\w.-]+)(?::lock)?$/;
/** A key of one vector store: what its files and batches are. */
const OF_STORE = /^(.+):\{(vs_\w+)\}:(?:files|counts|batch)/;
const LOOK_EVERY_MS = 250;
/** Sweeps, heartbeats and reconnects all happen far more often, on a busy machine as well. */
const IDLE_WITHIN_MS = 60_000;
const SCAN_COUNT = 1_000;

/** How many connections the service has, by name, when it is idle. */
export type Plateau = Readonly<Record<string, number>>;

export async function plateauOf(deployment: Deployment): Promise<Plateau> {
  const counts: Record<string, number> = {};
  for (const { name } of await deployment.connections()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** Waits until the service is as idle as it was, and says what has not gone. */
export async function checkLeaks(deployment: Deployment, plateau: Plateau): Promise<readonly Violation[]> {
  const deadlineMs = performance.now() + IDLE_WITHIN_MS;
  for (;;) {
    const found = [...(await transient(deployment, plateau)), ...(await leftKeys(deployment))];
    if (found.length === 0 || performance.now() > deadlineMs) return found;
    await delay(LOOK_EVERY_MS);
  }
}

async function transient(deployment: Deployment, plateau: Plateau): Promise<readonly Violation[]> {
  const { admin, service, workers } = deployment;
  const found: Violation[] = [];
  const wrong = (rule: string, detail: string): void => void found.push({ rule, runId: null, detail });
  const now = await plateauOf(deployment);
  for (const name of new Set([...Object.keys(plateau), ...Object.keys(now)])) {
    if (now[name] !== plateau[name])
      wrong('connections return to their plateau', `${name}: ${now[name] ?? 0}, were ${plateau[name] ?? 0}`);
  }
  const standing = `${service.redisPrefix}:changes`;
  // Every API process hears on it that an assistant has changed.
  // Every API process hears all the time of changed assistants, and itself.
  const own = [`${service.redisPrefix}:assistants:changes`, `${service.redisPrefix}:echoes`];
  const channels = [await admin.pubsub('CHANNELS', '*'), await admin.pubsub('SHARDCHANNELS', '*')];
  for (const channel of channels.flat()) {
    if (channel !== standing && !own.includes(String(channel)))
      wrong('no subscription outlives its readers', String(channel));
  }
  const [, listening] = await admin.pubsub('NUMSUB', standing);
  if (Number(listening) !== workers.length)
    wrong('every worker hears of changes', `${String(listening)} of ${workers.length} listen`);
  return found;
}

async function leftKeys({ admin, service }: Deployment): Promise<readonly Violation[]> {
  const found: Violation[] = [];
  const wrong = (rule: string, detail: string): void => void found.push({ rule, runId: null, detail });
  const keys: string[] = [];
  for (let cursor = '0'; ;) {
    const [next, some] = await admin.scan(cursor, 'COUNT', SCAN_COUNT);
    keys.push(...some);
    if (next === '0') break;
    cursor = next;
  }
  const expiring = keys.filter((key) => EXPIRING.test(key));
  const ephemeral = threadsWithoutRuns(keys);
  const lives = await Promise.all(
    [...expiring, ...ephemeral].map(async (key) => ({ key, ms: await admin.pttl(key) })),
  );
  for (const { key } of lives.filter(({ ms }) => ms === -1)) wrong('what should expire does', key);
  for (const key of keys.filter((name) => name.endsWith(':active'))) wrong('no thread stays locked', key);
  for (const key of keys.filter((name) => JOB.test(name))) wrong('no job outlives its run or file', key);
  for (const key of keys) {
    const [, base = '', id = ''] = OF_STORE.exec(key) ?? [];
    if (id !== '' && (await admin.hexists(`${base}:{stores}`, id)) === 0)
      wrong('what a store had goes with it', key);
  }
  const open = await admin.zrange(`${service.redisPrefix}:open`, '0', '-1');
  for (const member of open) wrong('ended runs leave the open index', member);
  return found;
}

/** The keys of threads that exist only for a run: there is no document of the thread among them. */
function threadsWithoutRuns(keys: readonly string[]): readonly string[] {
  const tag = (key: string): string => /\{(thread_\w+)\}/.exec(key)?.[1] ?? '';
  const kept = new Set(keys.filter((key) => key.endsWith(':thread')).map(tag));
  return keys.filter((key) => tag(key) !== '' && !kept.has(tag(key)));
}

/** What each process keeps in memory, in megabytes. */
export function memoryOf(deployment: Deployment): Readonly<Record<string, number>> {
  return Object.fromEntries(
    deployment.service.living.map(({ name, pid }) => {
      const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
      return [name, Math.round(Number(kilobytes ?? 0) / 1024)];
    }),
  );
}

/** Checks one kind of server from its installation to its end, in bounded time. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPrivateRedis } from '../support/redis.ts';
import { startService, type Service } from '../support/service.ts';
import {
  clientTools,
  glasses,
  jsonSchema,
  maxTokens,
  overflow,
  polling,
  serverTools,
  streaming,
} from './answers.ts';
import { cancel, killedBeforeTheFirstWord, killedWhileSpeaking, silence } from './faults.ts';
import { Missing, type Packages } from './packages.ts';
import { NotPossible, Scene } from './scene.ts';
import type { Finding, ServerResult } from './table.ts';
import type { Running, Target } from './target.ts';

interface Check {
  readonly title: string;
  /** @returns what to know about it. @throws what is wrong; NotPossible where the server has no such thing. */
  readonly check: (scene: Scene) => Promise<string>;
}

/** In this order: what kills the server comes last. */
const CHECKS: readonly Check[] = [
  { title: 'polling', check: polling },
  { title: 'streaming, with usage', check: streaming },
  { title: '`max_tokens: 8` holds', check: maxTokens },
  { title: 'tools of the client', check: clientTools },
  { title: 'tools of Longrun', check: serverTools },
  { title: 'glasses, with their camera', check: glasses },
  { title: 'JSON schema', check: jsonSchema },
  { title: 'cancel stops the server', check: cancel },
  { title: 'thread beyond the context, English', check: overflow('English') },
  { title: 'thread beyond the context, Chinese', check: overflow('Chinese') },
  { title: 'silence before the first word', check: silence },
  { title: 'server killed in mid-answer', check: killedWhileSpeaking },
  { title: 'server killed before the first word', check: killedBeforeTheFirstWord },
];

/** The rows of the table, in order. */
export const CHECK_TITLES: readonly string[] = CHECKS.map(({ title }) => title);

export interface CheckOptions {
  readonly packages: Packages;
  readonly silentS: number;
  /** Seconds for one check. */
  readonly checkS: number;
  /** Seconds for all checks of a server; those that have no time left are not made. */
  readonly serverS: number;
  readonly say: (sentence: string) => void;
}

const REST_S = 30;

export async function checkServer(target: Target, options: CheckOptions): Promise<ServerResult> {
  const { packages, say } = options;
  const { title } = target;
  const date = new Date().toISOString().slice(0, 10);
  const base = { title, version: '', date, skipped: null, findings: {} };
  let running: Running;
  try {
    running = await target.start(packages);
  } catch (error) {
    const why = messageOf(error);
    const skipped = error instanceof Missing ? why : `it was had, but does not run here: ${why}`;
    return { ...base, skipped };
  }
  say(`${running.version} runs`);
  try {
    const findings = await withLongrun(running, (service, note) =>
      checkAll(target, running, service.url, options, note),
    );
    return { ...base, version: running.version, findings };
  } catch (error) {
    const finding: Finding = { verdict: 'no', note: `Longrun does not start before it: ${messageOf(error)}` };
    return { ...base, version: running.version, findings: { polling: finding } };
  } finally {
    await running.front.kill();
    await running.behind.kill();
  }
}

/** A Longrun of its own, over a Redis of its own. Settings that it does not know yet are left out, and noted. */
async function withLongrun<T>(
  { front, apiKey = 'none', settings }: Running,
  use: (service: Service, note: string) => Promise<T>,
): Promise<T> {
  const redis = await startPrivateRedis();
  const folder = await mkdtemp(join(tmpdir(), 'longrun-servers-'));
  const file = join(folder, 'longrun.config.json');
  const start = async (more: Readonly<Record<string, unknown>>): Promise<Service> => {
    const upstream = { name: 'default', baseUrl: `${front.url}/v1`, apiKey, ...more };
    await writeFile(file, JSON.stringify({ upstreams: [upstream] }));
    return startService({ redisUrl: redis.url, env: { LONGRUN_CONFIG: file } });
  };
  try {
    let note = '';
    const service = await start(settings).catch(async (error: unknown) => {
      const untaken = Object.keys(settings).filter((name) => messageOf(error).includes(name));
      if (untaken.length === 0) throw error;
      note = `without ${untaken.join(', ')}, which this version does not take`;
      return start(Object.fromEntries(Object.entries(settings).filter(([name]) => !untaken.includes(name))));
    });
    try {
      return await use(service, note);
    } finally {
      // What it complains of at its end is no finding about the server.
      await service.stop().catch(() => {});
    }
  } finally {
    await redis.stop();
    await rm(folder, { recursive: true });
  }
}

async function checkAll(
  target: Target,
  running: Running,
  url: string,
  { silentS, checkS, serverS, say }: CheckOptions,
  note: string,
): Promise<Record<string, Finding>> {
  const findings: Record<string, Finding> = {};
  const lastMs = performance.now() + serverS * 1_000;
  for (const { title, check } of CHECKS) {
    const leftMs = Math.min(checkS * 1_000, lastMs - performance.now());
    if (leftMs <= 0) break;
    const startedMs = performance.now();
    const signal = AbortSignal.timeout(leftMs);
    const scene = new Scene({ target, running, url, signal, silentS });
    const finding = await found(check(scene), signal, leftMs);
    const notes = [finding.note, finding.verdict === 'no' ? note : ''].filter((each) => each !== '');
    findings[title] = { ...finding, note: notes.join('; ') };
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
    say(`${title}: ${finding.verdict} after ${seconds} s${notes.length > 0 ? ` (${notes.join('; ')})` : ''}`);
    await settle(running);
  }
  return findings;
}

async function found(checking: Promise<string>, signal: AbortSignal, limitMs: number): Promise<Finding> {
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () =>
      reject(new Error(`it took longer than ${Math.round(limitMs / 1_000)} s`)),
    );
  });
  // Whichever of the two loses has nobody who hears it.
  checking.catch(() => {});
  late.catch(() => {});
  try {
    return { verdict: 'yes', note: await Promise.race([checking, late]) };
  } catch (error) {
    return { verdict: error instanceof NotPossible ? 'not possible' : 'no', note: messageOf(error) };
  }
}

/** The next check begins with a server that runs and rests. */
async function settle({ front, behind, isBusy }: Running): Promise<void> {
  behind.proceed();
  const lastMs = performance.now() + REST_S * 1_000;
  while (performance.now() < lastMs) {
    const busy = await isBusy().catch(() => null);
    if (busy === false && front.lives) return;
    if (busy === null || !front.lives) break;
  }
  for (const server of new Set([behind, front])) {
    await server.kill();
    await server.restart();
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Which engine this machine has. Each is tried for real, by a kernel that runs a piece of code. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, mkdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Logger } from '../log.ts';
import { bubblewrap } from './bubblewrap.ts';
import { docker } from './docker.ts';
import { findInterpreter } from './interpreter.ts';
import { SandboxKernel } from './kernel.ts';
import type { CodeEngine, EngineLimits } from './launch.ts';

const run = promisify(execFile);
const TRIAL_MS = 60_000;
/** Docker may have to fetch its image first. */
const DOCKER_TRIAL_MS = 10 * 60_000;
const CONTAINER_MARKS = ['/.dockerenv', '/run/.containerenv'];

export interface ChoiceOptions {
  readonly wanted: 'auto' | 'bubblewrap' | 'docker' | 'off';
  readonly image: string;
  readonly runtime: string | null;
  readonly limits: EngineLimits;
  readonly env: Readonly<Record<string, string>>;
  readonly log: Logger;
}

export interface EngineChoice {
  readonly engine: CodeEngine;
  /** What packages for it must fit. */
  readonly fits: string;
}

/** The first engine that works; null where none does, with a line in the log that says what is missing. */
export async function chooseEngine(options: ChoiceOptions): Promise<EngineChoice | null> {
  const { wanted, log } = options;
  if (wanted === 'off') return null;
  const missing: string[] = [];
  for (const [name, attempt] of [
    ['bubblewrap', tryBubblewrap],
    ['docker', tryDocker],
  ] as const) {
    if (wanted !== 'auto' && wanted !== name) continue;
    const choice = await attempt(options);
    if (typeof choice !== 'string') {
      log.info({ engine: name }, 'code_interpreter can be used');
      return choice;
    }
    missing.push(choice);
  }
  const what = 'code_interpreter cannot be used';
  if (wanted === 'auto') log.info(`${what}: ${missing.join(' ')}`);
  else log.error(`${what}: ${missing.join(' ')}`);
  return null;
}

/** The engine, or what it lacks, in a sentence. */
async function tryBubblewrap(options: ChoiceOptions): Promise<EngineChoice | string> {
  const { limits, env } = options;
  if (process.platform !== 'linux') return 'bubblewrap needs Linux.';
  const help = await run('bwrap', ['--help'], { env }).catch(() => null);
  const python = await findInterpreter(env);
  if (help === null || python === null)
    return 'Install bubblewrap and Python with venv (Debian, Ubuntu: apt-get install bubblewrap python3-venv).';
  if (!help.stdout.includes('--size')) return 'bubblewrap is too old: it must be 0.5 or newer.';
  const canDisableNamespaces = help.stdout.includes('--disable-userns');
  let reason = '';
  // Containers may not write to /proc/sys, where bubblewrap would forbid further namespaces: there only the filter does.
  for (const disables of canDisableNamespaces && isContainer() ? [true, false] : [canDisableNamespaces]) {
    const engine = bubblewrap({ python, canDisableNamespaces: disables, limits, env });
    if (engine === null) return `There is no filter of system calls for ${process.arch}.`;
    const fault = await tryOut(engine, options, TRIAL_MS);
    if (fault === null) return { engine, fits: `${python.executable} 3.${python.minor}` };
    reason = fault;
  }
  return `bubblewrap does not work: ${reason}. ${await cureOf()}`;
}

const isContainer = (): boolean => CONTAINER_MARKS.some((mark) => existsSync(mark));

async function tryDocker(options: ChoiceOptions): Promise<EngineChoice | string> {
  const { image, env } = options;
  const isThere = await run('docker', ['version'], { env, timeout: TRIAL_MS }).catch(() => null);
  if (isThere === null) return 'There is no Docker that Longrun may use.';
  const engine = docker(options);
  const reason = await tryOut(engine, options, DOCKER_TRIAL_MS);
  return reason === null ? { engine, fits: image } : `Docker does not run ${image}: ${reason}.`;
}

/** Runs a piece of code in it. Returns why that did not work; null when it did. */
async function tryOut(
  engine: CodeEngine,
  { limits, log }: ChoiceOptions,
  trialMs: number,
): Promise<string | null> {
  const folder = await mkdtemp(join(tmpdir(), `longrun-code-${process.pid}-`));
  try {
    const folders = { data: join(folder, 'data'), images: join(folder, 'images'), packages: null };
    await mkdir(folders.data);
    const kernelLimits = { memoryMb: limits.memoryMb, timeoutMs: trialMs, startMs: trialMs };
    const kernel = await SandboxKernel.open({
      engine,
      folders,
      limits: kernelLimits,
      log,
      closed: () => {},
    });
    try {
      const { outputs } = await kernel.run('6 * 7', { signal: AbortSignal.timeout(trialMs) });
      const [output] = outputs;
      return output?.type === 'logs' && output.logs === '42\n' ? null : 'a piece of code had another result';
    } finally {
      await kernel.close();
    }
  } catch (error) {
    return String(error instanceof Error ? error.message : error)
      .replaceAll(/\s+/g, ' ')
      .replace(/\.$/, '');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What to do where bubblewrap may not make namespaces. */
async function cureOf(): Promise<string> {
  if (await is('kernel/apparmor_restrict_unprivileged_userns', '1'))
    return 'AppArmor forbids it here, as on Ubuntu 24.04: give bwrap a profile, as docs/files.md shows.';
  if (await is('kernel/unprivileged_userns_clone', '0'))
    return 'Allow it: sysctl -w kernel.unprivileged_userns_clone=1';
  if (await is('user/max_user_namespaces', '0')) return 'Allow it: sysctl -w user.max_user_namespaces=15000';
  if (isContainer())
    return 'In a container it needs rights that containers lack: docker-compose.code.yml gives them, see docs/files.md.';
  return 'See docs/files.md.';
}

async function is(setting: string, value: string): Promise<boolean> {
  return (await readFile(`/proc/sys/${setting}`, 'utf8').catch(() => '')).trim() === value;
}

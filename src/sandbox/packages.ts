/** The packages that code may use: set up on first use, by python/setup.py, outside of any sandbox. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Logger } from '../log.ts';
import { eachLine } from '../lines.ts';
import type { CodeEngine } from './launch.ts';
import { NoSandbox } from './sandbox.ts';

/** What programs of the hosted code interpreter use most. */
const BASIC = ['numpy', 'pandas', 'matplotlib', 'pillow', 'openpyxl'];
/** A slow line and a slow disk; then it has failed. */
const LIMIT_MS = 15 * 60_000;
/** After a failure, calls are told so at once for this long. */
const AGAIN_AFTER_MS = 60_000;
const MAX_LINE_BYTES = 16 * 1024;

const tellingSchema = z.object({ progress: z.string().optional(), failed: z.string().optional() });

export interface PackagesOptions {
  /** Where the folders of all set-ups lie. */
  readonly folder: string;
  /** What the packages must fit: another Python is another set-up. */
  readonly fits: string;
  readonly more: readonly string[];
  readonly engine: CodeEngine;
  readonly env: Readonly<Record<string, string>>;
  readonly log: Logger;
  readonly now: () => number;
}

export class Packages {
  /** Where they lie, or will. */
  readonly folder: string;
  readonly #options: PackagesOptions;
  readonly #names: readonly string[];
  readonly #listeners = new Set<(sentence: string) => void>();
  #setup: Promise<void> | null = null;
  #child: ChildProcess | null = null;
  #lastSaid: string | null = null;
  #failure: { readonly atMs: number; readonly error: NoSandbox } | null = null;

  constructor(options: PackagesOptions) {
    this.#options = options;
    this.#names = [...new Set([...BASIC, ...options.more])];
    const key = createHash('sha256')
      .update(JSON.stringify([options.fits, this.#names]))
      .digest('hex');
    this.folder = join(options.folder, `${options.engine.name}-${key.slice(0, 12)}`);
  }

  /**
   * Resolves when they are there. The first that asks begins; all are told how it goes.
   * @throws {NoSandbox} when they cannot be set up; later calls try again. The signal's reason when aborted, while the set-up goes on.
   */
  async ready(signal: AbortSignal, onProgress: (sentence: string) => void = () => {}): Promise<void> {
    if (existsSync(join(this.folder, 'ready'))) return;
    if (this.#failure !== null && this.#options.now() - this.#failure.atMs < AGAIN_AFTER_MS)
      throw this.#failure.error;
    const aborted = Promise.withResolvers<never>();
    const onAbort = (): void => aborted.reject(signal.reason);
    signal.throwIfAborted();
    signal.addEventListener('abort', onAbort, { once: true });
    this.#listeners.add(onProgress);
    if (this.#lastSaid !== null) onProgress(this.#lastSaid);
    try {
      this.#setup ??= this.#setUp().finally(() => {
        this.#setup = null;
        this.#lastSaid = null;
      });
      await Promise.race([this.#setup, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#listeners.delete(onProgress);
    }
  }

  /** Ends a set-up that is under way; what it has begun, the next one begins anew. */
  close(): void {
    try {
      if (this.#child?.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // It has just ended.
    }
  }

  async #setUp(): Promise<void> {
    const { engine, env, log, now } = this.#options;
    const begunMs = now();
    await mkdir(this.folder, { recursive: true });
    const [file = '', ...args] = engine.setup(this.folder, this.#names);
    const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#child = child;
    const limit = setTimeout(() => this.close(), LIMIT_MS);
    let failed: string | null = null;
    let stderr = '';
    child.stderr.on('data', (data: Buffer) => (stderr = (stderr + data.toString('utf8')).slice(-500)));
    eachLine(child.stdout, MAX_LINE_BYTES, (line) => {
      const said = readTelling(line);
      failed = said.failed ?? failed;
      if (said.progress !== undefined) this.#tell(said.progress);
    });
    const code = await new Promise<number | null>((resolve) => {
      child.once('error', (error) => {
        failed = error.message;
        resolve(null);
      });
      child.once('close', resolve);
    });
    clearTimeout(limit);
    this.#child = null;
    if (code !== 0 || failed !== null) {
      const reason = failed ?? (stderr.trim() || `it was ended (${code ?? 'by a signal'})`);
      log.error({ folder: this.folder, reason }, 'the packages of the code interpreter cannot be set up');
      const error = new NoSandbox(
        'The code interpreter of this server cannot be used: its Python packages could not be set up. It tries again later; its log says why.',
      );
      this.#failure = { atMs: now(), error };
      throw error;
    }
    this.#failure = null;
    log.info(
      { folder: this.folder, ms: Math.round(now() - begunMs) },
      'the packages of the code interpreter are set up',
    );
  }

  #tell(sentence: string): void {
    this.#lastSaid = sentence;
    this.#options.log.info({ folder: this.folder }, sentence);
    for (const listener of this.#listeners) listener(sentence);
  }
}

function readTelling(line: string): z.infer<typeof tellingSchema> {
  try {
    return tellingSchema.parse(JSON.parse(line));
  } catch {
    return {};
  }
}

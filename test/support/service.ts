/**
 * The service as its users run it: API and worker processes, with a Redis and a model server that the test passes in.
 * Owns the processes and their logs, ends every process, and reports every broken one.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { COMPILE_CACHE } from './compile-cache.ts';

export interface ServiceOptions {
  readonly redisUrl: string;
  /** The model server; anything with an OpenAI-compatible base URL. */
  readonly upstream?: { readonly baseUrl: string };
  /** How many worker processes to begin with. */
  readonly workers?: number;
  /** How many API processes; one by default. */
  readonly apis?: number;
  /** Further settings, by environment variable. Where CODE_FOLDER is among them, workers can run code. */
  readonly env?: Readonly<Record<string, string>>;
}

const lineSchema = z.looseObject({ level: z.number(), msg: z.string() });
const listeningSchema = z.looseObject({ url: z.url() });

/** A line that a process of the service logged; `process` says which: `api`, `worker 0`, `worker 1`, `api 1` … */
export type LogLine = z.infer<typeof lineSchema> & { readonly process: string };

const API = fileURLToPath(new URL('../../src/api/main.ts', import.meta.url));
const WORKER = fileURLToPath(new URL('../../src/worker/main.ts', import.meta.url));
/** A folder without a developer's `longrun.config.json`. */
const FOLDER = fileURLToPath(new URL('.', import.meta.url));
/**
 * Limits for processes that hang, since a busy machine loads modules slowly. They are below vitest's own limits, which
 * would not say why a test failed.
 */
const READY_MS = 100_000;
/** Far longer than a worker drains (5 s by default). */
const STOP_MS = 60_000;
const LAST_LINES = 20;

let serviceCount = 0;

/**
 * A running service under a key prefix of its own, ready for requests.
 * @throws with the processes' last words when one does not come up.
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const service = new Service(() => options);
  try {
    await service.start();
  } catch (error) {
    await service.stop().catch(() => {});
    throw error;
  }
  return service;
}

export class Service {
  /** The first API's origin, for example `http://127.0.0.1:41234`. */
  url = '';
  /** Every line of every process, in order of arrival. */
  readonly logs: LogLine[] = [];
  /** The prefix of every key this service writes. */
  readonly redisPrefix: string;
  /** Where the bytes of its files are, unless `env` says something else. */
  readonly filesFolder: string;
  readonly #options: () => ServiceOptions;
  #env: NodeJS.ProcessEnv = {};
  readonly #workers: ServiceProcess[] = [];
  readonly #apis: ServiceProcess[] = [];
  /** The latest process of each origin. */
  readonly #origins = new Map<string, ServiceProcess>();
  /** Resolves when the next line comes; renewed with each line. */
  #logged = Promise.withResolvers<void>();

  /** @param options called when the service starts, because servers that it needs may not exist before */
  constructor(options: () => ServiceOptions) {
    serviceCount += 1;
    this.redisPrefix = `test-${process.pid}-${serviceCount}-${Date.now()}`;
    this.filesFolder = join(tmpdir(), 'longrun-test-files', this.redisPrefix);
    this.#options = options;
  }

  /** The value for an SDK's `baseURL`. */
  get baseUrl(): string {
    return `${this.url}/v1`;
  }

  /** The origins of the APIs, the first API first. */
  get origins(): readonly string[] {
    return [...this.#origins.keys()];
  }

  /** The origins where no process listens any more. */
  get silent(): readonly string[] {
    return [...this.#origins].filter(([, api]) => !api.lives).map(([origin]) => origin);
  }

  /** Every process that is ready and alive. */
  get living(): readonly ServiceProcess[] {
    return [...this.#apis, ...this.#workers].filter((child) => child.ready && child.lives);
  }

  /** Starts APIs and workers at once; resolves when all are ready. Called once. */
  async start(): Promise<void> {
    const { redisUrl, upstream, env, workers = 1, apis = 1 } = this.#options();
    this.#env = {
      // Not the whole environment: a developer's own OPENAI_API_KEY or PORT must not steer a test.
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      PORT: '0',
      REDIS_URL: redisUrl,
      REDIS_PREFIX: this.redisPrefix,
      FILES_URL: this.filesFolder,
      // Only tests that run code say where its packages are. Any other worker would try its sandbox out for nothing.
      ...(env?.['CODE_FOLDER'] === undefined && { CODE_SANDBOX: 'off' }),
      ...(upstream && { OPENAI_BASE_URL: upstream.baseUrl, OPENAI_API_KEY: 'upstream-key' }),
      ...env,
    };
    const listening = Promise.all(Array.from({ length: apis }, () => this.startApi()));
    await Promise.all([listening, ...Array.from({ length: workers }, () => this.startWorker())]);
    [this.url = ''] = await listening;
  }

  /** Starts one more API process, on `port` if it is given; resolves to its origin when it listens. */
  async startApi(port?: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
    const name = this.#apis.length === 0 ? 'api' : `api ${this.#apis.length}`;
    const api = this.#spawn(name, API, port === undefined ? env : { PORT: port, ...env });
    this.#apis.push(api);
    const { url } = listeningSchema.parse(await this.#ready(api, 'api listening'));
    this.#origins.set(url, api);
    return url;
  }

  /** Kills the API that listens at `origin`, open streams and all. */
  async killApi(origin: string): Promise<void> {
    await this.#origins.get(origin)?.end('SIGKILL');
  }

  /** Kills the API that listens at `origin`, and starts another one there. */
  async crashApi(origin: string): Promise<void> {
    await this.killApi(origin);
    await this.startApi(new URL(origin).port);
  }

  /** Starts one more worker, with settings of its own where it has any; resolves to its number when it is ready. */
  async startWorker(env: NodeJS.ProcessEnv = {}): Promise<number> {
    const number = this.#workers.length;
    const worker = this.#spawn(`worker ${number}`, WORKER, env);
    this.#workers.push(worker);
    await this.#ready(worker, 'worker ready');
    return number;
  }

  /** Sends a worker a signal and waits until it is gone. SIGKILL is a crash; SIGTERM must end it properly. */
  async killWorker(number: number, signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const worker = this.#workers[number];
    if (worker === undefined) throw new Error(`there is no worker ${number}`);
    await worker.end(signal);
  }

  /** The first matching line, past or future. The test's own time limit bounds the wait. */
  async waitForLog(fits: (line: LogLine) => boolean): Promise<LogLine> {
    for (let seen = 0; ;) {
      for (; seen < this.logs.length; seen += 1) {
        const line = this.logs[seen];
        if (line !== undefined && fits(line)) return line;
      }
      await this.#logged.promise;
    }
  }

  /** Ends every process. @throws when one crashed, did not end properly, or wrote anything to stderr. */
  async stop(): Promise<void> {
    const processes = [...this.#apis, ...this.#workers];
    await Promise.all(processes.map((child) => child.end('SIGTERM')));
    rmSync(this.filesFolder, { recursive: true, force: true });
    const problems = processes.flatMap((child) => child.problems());
    if (problems.length > 0) throw new Error(`${problems.join('\n')}\n${this.#lastWords()}`);
  }

  #spawn(name: string, script: string, env: NodeJS.ProcessEnv = {}): ServiceProcess {
    return new ServiceProcess(name, script, { ...this.#env, ...env }, (line) => {
      this.logs.push(line);
      this.#logged.resolve();
      this.#logged = Promise.withResolvers();
    });
  }

  async #ready(child: ServiceProcess, msg: string): Promise<LogLine> {
    const deadline = Promise.withResolvers<never>();
    const fail = (why: string): void =>
      deadline.reject(new Error(`${child.name} ${why}\n${child.stderr}\n${this.#lastWords()}`));
    const timer = setTimeout(fail, READY_MS, `was not ready after ${READY_MS} ms`);
    void child.ended.then(() => fail('ended before it was ready'));
    const said = this.waitForLog((line) => line.process === child.name && line.msg === msg);
    const line = await Promise.race([said, deadline.promise]).finally(() => clearTimeout(timer));
    child.ready = true;
    return line;
  }

  #lastWords(): string {
    const lines = this.logs.slice(-LAST_LINES).map((line) => JSON.stringify(line));
    return `The last lines of the log:\n${lines.join('\n')}`;
  }
}

/** Those that run: a test run that is ended in the middle must not leave processes behind. */
const children = new Set<ChildProcess>();

function killChildren(): void {
  for (const child of children) child.kill('SIGKILL');
}

/** One process of the service. */
export class ServiceProcess {
  readonly name: string;
  /** Resolves when the process is gone and its output has been read. */
  readonly ended: Promise<void>;
  /** Whether it has logged that it is ready. */
  ready = false;
  stderr = '';
  readonly #child: ChildProcess;
  /** The signals that the test has sent. */
  readonly #sent = new Set<NodeJS.Signals>();

  constructor(name: string, script: string, env: NodeJS.ProcessEnv, onLine: (line: LogLine) => void) {
    this.name = name;
    const child = spawn(process.execPath, [script], { cwd: FOLDER, env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    if (children.size === 0) process.on('exit', killChildren);
    children.add(child);
    this.ended = new Promise((resolve) => {
      child.once('close', () => {
        children.delete(child);
        if (children.size === 0) process.off('exit', killChildren);
        resolve();
      });
    });
    createInterface({ input: child.stdout }).on('line', (line) =>
      onLine({ process: name, ...parseLine(line) }),
    );
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
  }

  get lives(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Stops the process until `proceed`; the process does not notice. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  proceed(): void {
    this.#child.kill('SIGCONT');
  }

  /** Sends `signal` and waits for the end. A process that does not end in time is killed, and that counts as a problem. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (!this.lives) return this.ended;
    this.#sent.add(signal);
    this.#child.kill(signal);
    // A frozen process reacts to no signal but SIGKILL.
    this.proceed();
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await this.ended;
    clearTimeout(deadline);
  }

  /** What was wrong with it, once it has ended. */
  problems(): readonly string[] {
    const { exitCode, signalCode } = this.#child;
    const proper = this.#sent.has('SIGKILL') || (this.#sent.has('SIGTERM') && exitCode === 0);
    return [
      ...(proper
        ? []
        : [
            `${this.name} ended with ${signalCode ?? `code ${exitCode}`}, signals sent: ${[...this.#sent].join() || 'none'}`,
          ]),
      ...(this.stderr === '' ? [] : [`${this.name} wrote to stderr:\n${this.stderr}`]),
    ];
  }
}

function parseLine(line: string): z.infer<typeof lineSchema> {
  try {
    return lineSchema.parse(JSON.parse(line));
  } catch {
    return { level: 0, msg: line };
  }
}

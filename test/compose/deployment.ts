/** A deployment by docker-compose, of its own project name, port and volume, that is taken down with everything it stored. */
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const PROJECT = 'longrun-check';
const PORT = 18_080;
const KEY = 'sk-check';
const READY_MS = 120_000;
const LOOK_EVERY_MS = 500;

export class Deployment {
  readonly url = `http://127.0.0.1:${PORT}`;
  readonly key = KEY;
  readonly #workers: number;
  readonly #env: NodeJS.ProcessEnv;
  readonly #compose: readonly string[];

  /** `files` are further compose files, for what is special about a machine. */
  constructor(options: { workers: number; modelPort: number; files: readonly string[] }) {
    this.#workers = options.workers;
    this.#env = {
      ...process.env,
      PORT: String(PORT),
      API_KEY: KEY,
      OPENAI_BASE_URL: `http://host.docker.internal:${options.modelPort}/v1`,
      OPENAI_API_KEY: 'none',
    };
    const files = ['docker-compose.yml', ...options.files];
    const command = succeeds('docker', ['compose', 'version']) ? ['docker', 'compose'] : ['docker-compose'];
    this.#compose = [...command, '-p', PROJECT, ...files.flatMap((file) => ['-f', join(ROOT, file)])];
  }

  /** Builds, starts, and waits until the API says that every worker is there. */
  async up(): Promise<void> {
    this.#run('up', '-d', '--build', '--scale', `worker=${this.#workers}`);
    const deadline = performance.now() + READY_MS;
    while ((await this.#readyWorkers()) < this.#workers) {
      if (performance.now() > deadline)
        throw new Error('The deployment was not ready in time; see docker-compose logs.');
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  /** Stops one worker as an operator does: it gets its grace period. */
  async stopOneWorker(): Promise<void> {
    const labels = [`com.docker.compose.project=${PROJECT}`, 'com.docker.compose.service=worker'];
    const filters = labels.flatMap((label) => ['--filter', `label=${label}`]);
    const { stdout } = spawnSync('docker', ['ps', '-q', ...filters], { env: this.#env, encoding: 'utf8' });
    const [container] = stdout.trim().split('\n');
    if (container === undefined || container === '') throw new Error('There is no worker to stop.');
    const stopping = spawn('docker', ['stop', '-t', '30', container], { env: this.#env, stdio: 'ignore' });
    await new Promise((resolve) => stopping.once('close', resolve));
  }

  down(): void {
    this.#run('down', '--volumes', '--timeout', '30');
  }

  async #readyWorkers(): Promise<number> {
    try {
      const response = await fetch(`${this.url}/ready`);
      const body: unknown = await response.json();
      return typeof body === 'object' && body !== null && 'workers' in body ? Number(body.workers) : 0;
    } catch {
      return 0;
    }
  }

  #run(...args: readonly string[]): void {
    const [command = '', ...rest] = [...this.#compose, ...args];
    const { status } = spawnSync(command, rest, { cwd: ROOT, env: this.#env, stdio: ['ignore', 2, 2] });
    if (status !== 0)
      throw new Error(`\`${[command, ...rest].join(' ')}\` failed; what it printed above says why.`);
  }
}

function succeeds(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

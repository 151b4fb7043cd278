/** One model server, or gateway, as a process on this machine: started, stopped, killed and started again on its port. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** How to start it on a port. */
export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const READY_MS = 300_000;
const ASK_MS = 5_000;
const LOOK_EVERY_MS = 250;
const KEPT_CHARACTERS = 200_000;
const LAST_LINES = 6;
/** Of /proc's clock; the same on every Linux that Node runs on. */
const TICKS_PER_S = 100;

export class ModelServer {
  readonly port: number;
  /** What it has printed, the newest part. */
  printed = '';
  readonly #command: (port: number) => Command;
  readonly #readyPath: string;
  #child: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();

  private constructor(port: number, command: (port: number) => Command, readyPath: string) {
    this.port = port;
    this.#command = command;
    this.#readyPath = readyPath;
  }

  /**
   * Starts it on a free port.
   * @param readyPath answers 2xx once it can be asked
   * @throws with its last words when it does not come up.
   */
  static async start(command: (port: number) => Command, readyPath: string): Promise<ModelServer> {
    const server = new ModelServer(await freePort(), command, readyPath);
    await server.restart();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get lives(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null;
  }

  /** Starts it, where it was killed; resolves when it can be asked. */
  async restart(): Promise<void> {
    const { command, args, cwd, env } = this.#command(this.port);
    // A group of its own, because servers have processes below them.
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child = child;
    const end = (): void => signalGroup(child, 'SIGKILL');
    process.once('exit', end);
    const keep = (text: string): void => {
      this.printed = (this.printed + text).slice(-KEPT_CHARACTERS);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => {
        keep(`${error.message}\n`);
        resolve();
      });
      child.once('exit', () => {
        process.off('exit', end);
        resolve();
      });
    });
    await this.#ready(child);
  }

  /** Stops every process of it where it stands, until `proceed`; connections to it are still accepted. */
  freeze(): void {
    if (this.#child) signalGroup(this.#child, 'SIGSTOP');
  }

  proceed(): void {
    if (this.#child) signalGroup(this.#child, 'SIGCONT');
  }

  /** Ends every process of it at once. */
  async kill(): Promise<void> {
    if (this.#child) signalGroup(this.#child, 'SIGKILL');
    await this.#ended;
  }

  /** The time that all its processes have had on processors, in seconds. */
  processorSeconds(): number {
    const group = this.#child?.pid;
    let ticks = 0;
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        // After the name, which may have blanks: state, parent, group …, and user and system time as 12th and 13th.
        const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
        if (Number(fields[2]) === group) ticks += Number(fields[11]) + Number(fields[12]);
      } catch {
        // It has ended meanwhile.
      }
    }
    return ticks / TICKS_PER_S;
  }

  async #ready(child: ChildProcess): Promise<void> {
    const lastMs = performance.now() + READY_MS;
    while (performance.now() < lastMs) {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) break;
      if (await this.#answers()) return;
      await delay(LOOK_EVERY_MS);
    }
    // Not whatever runs by now: another may have been started meanwhile.
    signalGroup(child, 'SIGKILL');
    const lines = this.printed.trim().split('\n').slice(-LAST_LINES).join(' ');
    throw new Error(`it did not come up; it printed last: ${lines}`);
  }

  async #answers(): Promise<boolean> {
    try {
      const response = await fetch(`${this.url}${this.#readyPath}`, { signal: AbortSignal.timeout(ASK_MS) });
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false;
    }
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // It has ended.
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port is free');
  return address.port;
}

/** A server of S3's protocol over a folder: versitygw, where it is installed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const PROGRAM = 'versitygw';
const LOOK_EVERY_MS = 50;

/** Where the server's program is; null, told once, where it is not installed. */
export function findS3Server(): string | null {
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    process.env['GOBIN'] ?? '',
    join(process.env['GOPATH'] ?? join(homedir(), 'go'), 'bin'),
  ];
  const found = folders.map((folder) => join(folder, PROGRAM)).find(isProgram);
  if (found === undefined) {
    console.log(
      `Skipped: S3 is tested where ${PROGRAM} is installed (go install github.com/versity/versitygw/cmd/versitygw@latest).`,
    );
  }
  return found ?? null;
}

export class S3Server {
  readonly #program: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 's3-'));
  #child: ChildProcess | null = null;
  #port = 0;

  constructor(program: string) {
    this.#program = program;
  }

  /** What a client of it needs in its environment. */
  get env(): Readonly<Record<string, string>> {
    return {
      AWS_ENDPOINT_URL: `http://127.0.0.1:${this.#port}`,
      AWS_ACCESS_KEY_ID: 'longrun',
      AWS_SECRET_ACCESS_KEY: 'longrun-secret',
    };
  }

  async start(): Promise<void> {
    this.#port = await freePort();
    const { AWS_ACCESS_KEY_ID: access = '', AWS_SECRET_ACCESS_KEY: secret = '' } = this.env;
    const address = `127.0.0.1:${this.#port}`;
    const args = [
      '--port',
      address,
      '--access',
      access,
      '--secret',
      secret,
      '--quiet',
      'posix',
      this.#folder,
    ];
    const child = spawn(this.#program, args, { stdio: 'ignore' });
    this.#child = child;
    process.once('exit', () => void child.kill('SIGKILL'));
    while (!(await answers(this.#port))) {
      if (child.exitCode !== null) throw new Error(`${PROGRAM} ended with code ${child.exitCode}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  async stop(): Promise<void> {
    if (this.#child !== null && this.#child.exitCode === null) {
      this.#child.kill('SIGKILL');
      await once(this.#child, 'exit');
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}

async function answers(port: number): Promise<boolean> {
  const socket = createConnection({ port, host: '127.0.0.1' });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

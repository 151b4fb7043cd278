/**
 * One Ctrl-C stops `npm run api` and `npm run worker` in order, although npm, the set-up and the program all hear it and the first
 * two pass it on: a terminal, and systemd, send it to the whole process service.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { FakeUpstream, gate, says, text } from '../support/upstream.ts';
import { saidIn, Wire } from '../support/wire.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const lineSchema = z.looseObject({ msg: z.string(), url: z.string().optional() });
/** What each logs when it is up. */
const UP = { api: 'api listening', worker: 'worker ready' } as const;
type Name = keyof typeof UP;
type Line = z.infer<typeof lineSchema>;

let folder: string;
let upstream: FakeUpstream;
let env: NodeJS.ProcessEnv;
/** Those that npm runs and that no test has stopped yet. */
const running = new Map<Name, Program>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'longrun-stop-'));
  for (const name of ['src', 'setup', 'package.json'])
    await cp(join(REPOSITORY, name), join(folder, name), { recursive: true });
  await symlink(join(REPOSITORY, 'node_modules'), join(folder, 'node_modules'));
  // What is installed is what is wanted: the set-up must not begin to install under the feet of the tests.
  await cp(join(REPOSITORY, 'node_modules/.package-lock.json'), join(folder, 'package-lock.json'));
  upstream = await FakeUpstream.start();
  env = {
    PATH: `${dirname(process.execPath)}:${process.env['PATH']}`,
    HOME: process.env['HOME'],
    PORT: '0',
    REDIS_URL: inject('redisUrl'),
    REDIS_PREFIX: `stop-${process.pid}-${Date.now()}`,
    OPENAI_BASE_URL: upstream.baseUrl,
    OPENAI_API_KEY: 'upstream-key',
    // No test runs code.
    CODE_SANDBOX: 'off',
    // Far longer than what is in flight takes once its gate is open.
    DRAIN_MS: '60000',
  };
});
afterAll(async () => {
  for (const program of running.values()) program.signal('SIGKILL');
  await upstream?.stop();
  await rm(folder, { recursive: true, force: true });
});

test.for([
  ['api', 'SIGINT', 'its whole group'],
  ['api', 'SIGTERM', 'its whole group'],
  ['api', 'SIGTERM', 'npm alone'],
  ['worker', 'SIGINT', 'its whole group'],
  ['worker', 'SIGTERM', 'its whole group'],
  ['worker', 'SIGTERM', 'npm alone'],
] as const)(
  'npm run %s lets a stream go on to its end when %s goes to %s',
  async ([stopped, signal, whom]) => {
    const service = { api: npmRun('api'), worker: npmRun('worker') };
    leave(stopped);
    const [{ url = '' }] = await Promise.all([service.api.logs(UP.api), service.worker.logs(UP.worker)]);
    const wire = new Wire(`${url}/v1`);
    const rest = gate();
    upstream.reply(() => [text('Once'), rest, ...says(' upon a time')]);
    const assistant = await wire.ok('POST', '/assistants', { model: 'm' });
    const stream = await wire.stream('POST', `/threads/${await wire.thread('a story')}/runs`, {
      body: { assistant_id: assistant.id, stream: true },
    });
    const heard = await stream.until('thread.message.delta');
    await rest.reached;
    if (whom === 'npm alone') service[stopped].signalFirst(signal);
    else service[stopped].signal(signal);
    await service[stopped].logs('stopping');
    rest.open();
    const frames = [...heard, ...(await stream.rest())];
    expect(saidIn(frames)).toBe('Once upon a time');
    expect(frames.at(-1)?.name).toBe('done');
    await service[stopped].logs('stopped');
    expect(await service[stopped].ended).toBe(0);
  },
);

test.each(['api', 'worker'] as const)(
  'the %s stops when the set-up that started it is killed',
  async (name) => {
    const child = spawn(process.execPath, [join(folder, 'src', name, 'main.ts')], {
      cwd: folder,
      env,
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    const program = new Program(name, child);
    await program.logs(UP[name]);
    // What a SIGKILL of the set-up does to the channel between the two.
    child.disconnect();
    await program.logs('stopped');
    expect(await program.ended).toBe(0);
  },
);

test('the api stops when the npm that started it is killed', async () => {
  const program = npmRun('api');
  leave('api');
  await program.logs(UP.api);
  program.signalFirst('SIGKILL');
  expect(await program.logs('stopped')).toMatchObject({ msg: 'stopped' });
});

/** `npm run NAME` as a terminal starts it: in a process group of its own; the one that runs already, if one does. */
function npmRun(name: Name): Program {
  const earlier = running.get(name);
  if (earlier !== undefined) return earlier;
  const child = spawn('npm', ['run', '--silent', name], {
    cwd: folder,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const program = new Program(name, child);
  running.set(name, program);
  return program;
}

/** No later test has it: this one stops it. */
function leave(name: Name): void {
  const program = running.get(name);
  running.delete(name);
  onTestFinished(() => program?.signal('SIGKILL'));
}

/** A process, or a group of them, whose log is read. */
class Program {
  readonly ended: Promise<number | null>;
  readonly #process: ChildProcess;
  readonly #lines: Line[] = [];
  #arrival = Promise.withResolvers<void>();

  constructor(name: Name, child: ChildProcess) {
    this.#process = child;
    this.ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    if (child.stdout === null) throw new Error('its output is not read');
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => this.#hear(line));
    lines.on('close', () => this.#arrival.reject(new Error(`the ${name} ended: ${this.#said}`)));
    this.#arrival.promise.catch(() => {});
  }

  /** The first line with that message, once it is there. The test's own time limit bounds the wait. */
  async logs(msg: string): Promise<Line> {
    for (;;) {
      const line = this.#lines.find((each) => each.msg === msg);
      if (line !== undefined) return line;
      await this.#arrival.promise;
    }
  }

  /** To every process of the group at once, as a terminal does it. */
  signal(signal: NodeJS.Signals): void {
    try {
      process.kill(-(this.#process.pid ?? 0), signal);
    } catch {
      // They have ended.
    }
  }

  /** To the process that was started, which has to pass it on. */
  signalFirst(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  get #said(): string {
    return this.#lines.map(({ msg }) => msg).join(', ');
  }

  #hear(line: string): void {
    const parsed = lineSchema.safeParse(line.startsWith('{') ? JSON.parse(line) : null);
    if (!parsed.success) return;
    this.#lines.push(parsed.data);
    this.#arrival.resolve();
    this.#arrival = Promise.withResolvers();
    this.#arrival.promise.catch(() => {});
  }
}

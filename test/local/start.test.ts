/**
 * `npm start` as a person has it: src/main.ts in a copy of the repository, with its own data folder. Every process that ever
 * logged must be gone when it is over, however it ended.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { connect } from '../../src/store/redis.ts';
import { runProgram } from '../clients/programs.ts';
import { startPrivateRedis } from '../support/redis.ts';
import { FakeUpstream, gate, says, text } from '../support/upstream.ts';
import { namesOf, textOf, Wire } from '../support/wire.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const LOOK_EVERY_MS = 50;
/** What a worker logs when it starts a run. */
const startedSchema = z.looseObject({ worker: z.string() });

/** More than a socket's path may have: folders of people lie deep. */
const DEEP = 'deep/'.repeat(20);

let root = '';
let folder = '';
const running: Start[] = [];

beforeAll(async () => {
  // Ours and that of the processes we start: the usual one, which lets everybody read.
  process.umask(0o022);
  root = await realpath(await mkdtemp(join(tmpdir(), 'longrun-start-')));
  folder = join(root, DEEP);
  await mkdir(folder, { recursive: true });
  await cp(join(REPOSITORY, 'src'), join(folder, 'src'), { recursive: true });
  await cp(join(REPOSITORY, 'package.json'), join(folder, 'package.json'));
  await symlink(join(REPOSITORY, 'node_modules'), join(folder, 'node_modules'));
});
// A start without settings is left to the next test that needs one: each takes seconds.
afterEach(() => endAll(({ hasSettings }) => hasSettings));
afterAll(async () => {
  await endAll();
  await rm(root, { recursive: true, force: true });
});

async function endAll(which: (start: Start) => boolean = () => true): Promise<void> {
  for (const start of running.filter((one) => which(one))) await start.end('SIGTERM');
}

describe('npm start', () => {
  test('answers with the demo model, stops cleanly, and finds its data again', async () => {
    const first = await Start.usual();
    const { beta } = first.client;
    const assistant = await beta.assistants.create({ model: 'demo' });
    const thread = await beta.threads.create({ messages: [{ role: 'user', content: 'Hello' }] });
    const run = await beta.threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });
    expect(run.status).toBe('completed');
    const pids = await loggedPids();
    expect(pids.length).toBeGreaterThanOrEqual(3);
    expect(await first.end('SIGINT')).toBe(0);
    expect(pids.filter(isAlive)).toEqual([]);

    const second = await Start.usual();
    const messages = await second.client.beta.threads.messages.list(thread.id);
    expect(messages.data.map(({ role }) => role)).toEqual(['assistant', 'user']);
  });

  test('has a Redis of its own that no network leads to', async () => {
    await Start.usual();
    // Relative, because of the limit for the path of a socket.
    const here = process.cwd();
    process.chdir(folder);
    onTestFinished(() => process.chdir(here));
    const redis = new Redis({ path: '.data/redis/redis.sock' });
    onTestFinished(() => redis.disconnect());
    expect(await redis.config('GET', 'port')).toEqual(['port', '0']);
  });

  test('refuses a folder that is in use, and leaves whoever uses it alone', async () => {
    const first = await Start.usual();
    const second = new Start();
    expect(await second.ended).toBe(1);
    expect(second.output).toContain('already running on this folder');
    expect((await fetch(`${first.url}/health`)).status).toBe(200);
  });

  test('starts a worker again that dies', async () => {
    const start = await Start.usual();
    const [worker] = await loggedPids('worker-1.log');
    process.kill(worker ?? 0, 'SIGKILL');
    await start.says('worker 1 is up again.');
    expect(start.output).toContain('worker 1 was killed; starting it again in 0.25 s.');
  });

  test('stores what only its owner can read', async () => {
    await Start.usual();
    expect(await openToOthers()).toEqual([]);
  });

  test('leaves nothing behind when it is killed outright, and closes what an older version left open', async () => {
    const start = await Start.usual();
    const pids = await loggedPids();
    await start.end('SIGKILL');
    while (pids.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));

    for (const path of await stored()) await chmod(path, (await lstat(path)).isDirectory() ? 0o755 : 0o644);
    expect(await openToOthers()).not.toEqual([]);
    expect((await Start.usual()).url).not.toBe('');
    expect(await openToOthers()).toEqual([]);
  });
});

describe('the first paste', () => {
  /**
   * Pastes what `npm start` printed from `beginning` on into a shell, with the name of a model where it asks for one;
   * packages are those of the repository.
   */
  async function paste(
    start: Start,
    beginning: string,
    env: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const printed = start.output.slice(start.output.indexOf(`\n${beginning}`) + 1);
    const [command = ''] = printed.split(beginning.startsWith('curl') ? '\n' : /(?<=\nEND)\n/);
    const ended = await runProgram(
      'bash',
      ['-c', command.replace('npm install openai && ', '').replaceAll('MODEL', 'llama-strict')],
      {
        cwd: folder,
        env: { PATH: `${dirname(process.execPath)}:${process.env['PATH']}`, ...env },
      },
    );
    return `${ended.stdout}${ended.stderr}`;
  }

  test('is answered by the demo model', async () => {
    const start = await Start.usual();
    expect(await paste(start, 'curl')).toContain("Longrun's demo model. You said: “Hello”");
    expect(await paste(start, 'npm install')).toMatch(/completed I am Longrun's demo model/);
  });

  test.for([
    ['no key', {}, {}],
    ['one key for all', { AUTH: 'key', API_KEY: 'shared-key' }, { OPENAI_API_KEY: 'shared-key' }],
    ['the keys of callers', { AUTH: 'passthrough' }, { OPENAI_API_KEY: STRICT_KEY }],
  ] as const)(
    'is answered by a model server that knows only its own models, with %s',
    async ([, settings, shell]) => {
      const server = await strictServer();
      const key = 'AUTH' in settings && settings.AUTH === 'passthrough' ? '' : STRICT_KEY;
      const start = await Start.up({ OPENAI_BASE_URL: server, OPENAI_API_KEY: key, ...settings });
      expect(start.output).not.toContain('BUT:');
      expect(await paste(start, 'curl', shell)).toContain('"content":"from llama-strict"');
      expect(await paste(start, 'npm install', shell)).toMatch(/completed from llama-strict/);
    },
  );

  test('says that the key is refused, and why the run failed', async () => {
    const start = await Start.up(
      { OPENAI_BASE_URL: await strictServer(), OPENAI_API_KEY: 'a-wrong-key' },
      'will stand here',
    );
    expect(start.output).toMatch(
      /BUT: the model server 'default' at 127\.0\.0\.1:\d+ refuses the key \(401\)\./,
    );
    expect(start.output).not.toContain('a-wrong-key');
    expect(start.output).not.toContain('curl ');
    const { beta } = start.client;
    const assistant = await beta.assistants.create({ model: 'llama-strict' });
    const thread = await beta.threads.create({ messages: [{ role: 'user', content: 'Hello' }] });
    const run = await beta.threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });
    expect(run.last_error?.message).toMatch(/^The upstream 'default' refused its key \(401\)/);
  });

  test('says that nobody answers there', async () => {
    const start = await Start.up({ OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' }, 'will stand here');
    expect(start.output).toContain("BUT: the model server 'default' at 127.0.0.1:1 does not answer.");
    expect(start.output).not.toContain('MODEL');
  });
});

// Behind the tests of a start without settings, which they would end.
describe('npm start with settings', () => {
  test('has an answer go on at once when its only worker is killed, and when the next one is', async () => {
    const upstream = await FakeUpstream.start();
    onTestFinished(() => upstream.stop());
    const doors = [gate(), gate()];
    upstream.reply(() => {
      const door = doors[upstream.requests.length - 1];
      return door === undefined ? says('Once upon a time') : [text('Once'), door, { type: 'stall' }];
    });
    const redisUrl = inject('redisUrl');
    const prefix = `start-${process.pid}-${Date.now()}`;
    const start = await Start.up({
      REDIS_URL: redisUrl,
      REDIS_PREFIX: prefix,
      OPENAI_BASE_URL: upstream.baseUrl,
      OPENAI_API_KEY: 'upstream-key',
      WORKERS: '1',
      // No lease and no lock of the dead lapses in the time of this test.
      LOCK_MS: '600000',
    });
    const wire = new Wire(`${start.url}/v1`);
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const run = await wire.run(await wire.thread('a story'), { assistant_id });
    for (const door of doors) {
      await door.reached;
      const [worker] = await loggedPids('worker-1.log');
      process.kill(worker ?? 0, 'SIGKILL');
    }
    const events = await wire.stream('GET', `/threads/${run.thread_id}/runs/${run.id}/events`);
    const ends = namesOf(await events.rest()).filter((name) => /run\.(completed|failed|expired)$/.test(name));
    expect(ends).toEqual(['thread.run.completed']);
    const [said] = await wire.list(`/threads/${run.thread_id}/messages`);
    expect(textOf(said)).toBe('Once upon a time');

    const admin = connect(redisUrl, { use: 'queue', whenAway: 'wait' });
    onTestFinished(() => admin.disconnect());
    const log = await readFile(join(folder, '.data/log/worker-1.log'), 'utf8');
    const starts = log
      .split('\n')
      .filter((line) => line.includes('"run.started"') && line.includes(run.id))
      .map((line) => startedSchema.parse(JSON.parse(line)).worker);
    // Each counts as lost: another worker, without a lease but for the last one.
    expect(new Set(starts).size).toBe(3);
    const leases = starts.map(async (worker) => admin.exists(`${prefix}:worker:${worker}:lease`));
    expect(await Promise.all(leases)).toEqual([0, 0, 1]);
    while ((await admin.exists(`{${prefix}}:runs:${run.id}-1`)) > 0);
  });

  test.for([
    ['a wrong setting', { PORT: 'abc' }, 'PORT'],
    [
      'a Redis that is not there',
      { REDIS_URL: 'redis://:secret@127.0.0.1:1' },
      'No Redis answers at 127.0.0.1, port 1',
    ],
    // The placeholder stands for a Redis that asks for another password.
    ['a wrong password for Redis', { REDIS_URL: 'LOCKED' }, 'the user name or the password in REDIS_URL'],
  ] as const)('says in a sentence that there is %s', async ([, env, sentence]) => {
    const isLocked = 'REDIS_URL' in env && env.REDIS_URL === 'LOCKED';
    const start = await Start.alone(isLocked ? { REDIS_URL: await lockedRedis() } : env);
    expect(await start.ended).toBe(1);
    expect(start.output).toContain(sentence);
    expect(start.output).not.toContain('secret');
    expect(start.output).not.toContain('    at ');
  });

  test('says what is wrong with its data folder', async () => {
    await endAll();
    await mkdir(join(folder, '.data'), { recursive: true });
    await rename(join(folder, '.data'), join(folder, 'data-away'));
    await writeFile(join(folder, '.data'), 'in the way');
    onTestFinished(async () => {
      await rm(join(folder, '.data'));
      await rename(join(folder, 'data-away'), join(folder, '.data'));
    });
    const start = new Start();
    expect(await start.ended).toBe(1);
    expect(start.output).toBe(
      `longrun: ${join(folder, '.data')} cannot be written (EEXIST). A file is in its place: move that away.`,
    );
  });

  test('says which port is taken and how to choose another', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void holder.close());
    await new Promise((resolve) => holder.once('listening', resolve));
    const address = holder.address();
    const port = address === null || typeof address === 'string' ? 0 : address.port;
    const start = await Start.alone({ PORT: String(port) });
    expect(await start.ended).toBe(1);
    expect(start.output).toContain(
      `Port ${port} is taken by another program. Choose another one: PORT=${port + 1}`,
    );
  });

  test('needs a model server where callers bring its keys', async () => {
    const start = await Start.alone({ AUTH: 'passthrough' });
    expect(await start.ended).toBe(1);
    expect(start.output).toContain('Set OPENAI_BASE_URL.');
  });
});

/** A Redis with a password. @returns its URL, with a wrong one. */
async function lockedRedis(): Promise<string> {
  const redis = await startPrivateRedis();
  onTestFinished(() => redis.stop());
  const admin = new Redis(redis.url);
  await admin.config('SET', 'requirepass', 'the-right-one');
  admin.disconnect();
  return redis.url.replace('//', '//:secret@');
}

const STRICT_KEY = 'sk-strict-0123456789';

/** A model server as strict as Ollama with names, and as providers are with keys. @returns its base URL. */
async function strictServer(): Promise<string> {
  const server = createHttpServer((request, response) => void play(request, response)).listen(0, '127.0.0.1');
  async function play(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = (status: number, body: object): void =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const refuse = (status: number, message: string): void => answer(status, { error: { message } });
    if (request.headers.authorization !== `Bearer ${STRICT_KEY}`) return refuse(401, 'Incorrect API key.');
    const id = 'llama-strict';
    if (request.url === '/v1/models')
      return answer(200, { object: 'list', data: [{ id: 'nomic-embed-text' }, { id }] });
    const { model } = z.looseObject({ model: z.string() }).parse(await json(request));
    if (model !== id) return refuse(404, `model '${model}' not found`);
    const message = { role: 'assistant', content: `from ${model}` };
    return answer(200, { model, choices: [{ index: 0, message, finish_reason: 'stop' }] });
  }
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/v1`;
}

class Start {
  readonly ended: Promise<number | null>;
  readonly hasSettings: boolean;
  readonly #process: ChildProcess;
  readonly #lines: string[] = [];
  #arrival = Promise.withResolvers<void>();

  constructor(env: Readonly<Record<string, string>> = {}) {
    this.hasSettings = Object.keys(env).length > 0;
    this.#process = spawn(process.execPath, [join(folder, 'src/main.ts')], {
      env: {
        ...process.env,
        PORT: '0',
        REDIS_URL: '',
        OPENAI_BASE_URL: '',
        OPENAI_API_KEY: '',
        // Those without settings have tried it.
        ...(this.hasSettings && { CODE_SANDBOX: 'off' }),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#hear(line));
    }
    this.ended = new Promise((resolve) => this.#process.once('close', (code) => resolve(code)));
    void this.ended.then(() => {
      running.splice(running.indexOf(this), 1);
      this.#arrival.reject(new Error(`it ended:\n${this.output}`));
    });
    // Whoever waits for a line hears of the end; nobody has to.
    this.#arrival.promise.catch(() => {});
    running.push(this);
  }

  /** One without settings that is up, perhaps since an earlier test. */
  static async usual(): Promise<Start> {
    return running.find(({ hasSettings }) => !hasSettings) ?? Start.up({});
  }

  /** One whose folder no other has any more. */
  static async alone(env: Readonly<Record<string, string>>): Promise<Start> {
    await endAll();
    return new Start(env);
  }

  /** @param lastWords of what it says when it is up */
  static async up(env: Readonly<Record<string, string>>, lastWords = 'END'): Promise<Start> {
    const start = await Start.alone(env);
    await start.says(lastWords);
    return start;
  }

  get output(): string {
    return this.#lines.join('\n');
  }

  get url(): string {
    return /Longrun is up: (\S+)\/v1/.exec(this.output)?.[1] ?? '';
  }

  get client(): OpenAI {
    return new OpenAI({ baseURL: `${this.url}/v1`, apiKey: 'none', maxRetries: 0 });
  }

  /** Waits for a line that contains `text`. The test's own time limit bounds the wait. */
  async says(text: string): Promise<void> {
    while (!this.#lines.some((line) => line.includes(text))) await this.#arrival.promise;
  }

  /** @returns the exit code. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.#process.kill(signal);
    return this.ended;
  }

  #hear(line: string): void {
    this.#lines.push(line);
    this.#arrival.resolve();
    this.#arrival = Promise.withResolvers();
    this.#arrival.promise.catch(() => {});
  }
}

/** The processes that wrote the logs, the latest of each first; redis-server's own lines begin with its pid. */
async function loggedPids(file?: string): Promise<number[]> {
  const logs = join(folder, '.data/log');
  const names = file === undefined ? await readdir(logs) : [file];
  const texts = await Promise.all(names.map((name) => readFile(join(logs, name), 'utf8')));
  return texts.flatMap((text) => {
    const pids = [...text.matchAll(/"pid":(\d+)|^(\d+):[MC] /gm)].map(([, node, redis]) =>
      Number(node ?? redis),
    );
    return [...new Set(pids.toReversed())];
  });
}

/** Everything below the data folder, itself included. */
async function stored(): Promise<string[]> {
  const data = join(folder, '.data');
  return [data, ...(await readdir(data, { recursive: true })).map((name) => join(data, name))];
}

/** What somebody else than its owner could read, write or enter, with its mode. */
async function openToOthers(): Promise<string[]> {
  const modes = (await stored()).map(async (path) => [path, (await lstat(path)).mode & 0o777] as const);
  const open = (await Promise.all(modes)).filter(([, mode]) => (mode & 0o077) !== 0);
  return open.map(([path, mode]) => `${mode.toString(8)} ${path.slice(folder.length)}`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** One fuzzing: a deployment of its own, so many attacks of a seed over some connections at a time, and everything that must not be. */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { Deployment } from '../chaos/deployment.ts';
import { checkLeaks, plateauOf } from '../chaos/leaks.ts';
import type { ServiceProcess } from '../support/service.ts';
import { Wire } from '../support/wire.ts';
import { attackOf, type Attack } from './attack.ts';
import { Connection, type Exchange } from './connection.ts';
import { judge, parsed, type Finding } from './judge.ts';
import { Known } from './known.ts';
import { hostileAnswer } from './model.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly requests: number;
  readonly apis: number;
  readonly workers: number;
  /** Connections at a time. */
  readonly lanes: number;
  /** Whether memory is compared; few requests do not warm a process up. */
  readonly compareMemory: boolean;
  /** Hears how many requests have been answered, now and then. */
  readonly onProgress?: (answered: number) => void;
}

/** A finding, and the attack it is about where it is about one. */
export interface Found extends Finding {
  readonly attack: Attack | null;
}

export interface FuzzResult {
  readonly found: readonly Found[];
  /** Answers by status. */
  readonly statuses: ReadonlyMap<number, number>;
  /** Bytes of each process, by its name: after the warm-up and at the end. */
  readonly memory: readonly Memory[];
  readonly askedOfModel: number;
  readonly seconds: number;
}

interface Memory {
  readonly name: string;
  readonly when: 'warm' | 'end';
  readonly rssBytes: number;
  readonly heldBytes: number;
}

const WARM_SHARE = 0.2;
const MOST_GROWTH = 1.2;
const WATCH_MS = 250;
const PROGRESS_EVERY = 1_000;
const RUN_LIFE_S = 20;
const ERROR_LEVEL = 50;
const TELL_MEMORY = fileURLToPath(new URL('tell-memory.ts', import.meta.url));

const ENV = {
  // So that every state is met often, and nothing is left to wait for at the end.
  RUN_EXPIRES_AFTER_S: String(RUN_LIFE_S),
  LOG_KEPT_S: '5',
  UPSTREAM_IDLE_MS: '8000',
  UPSTREAM_RETRIES: '1',
  MAX_ATTEMPTS: '5',
  TOOL_PROCESSES: '2',
  // Whether code is run would depend on the machine.
  CODE_SANDBOX: 'off',
  NODE_OPTIONS: `--trace-warnings --import=${TELL_MEMORY}`,
};

const memorySchema = z.looseObject({ rss: z.number(), held: z.number() });

export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const { apis, workers } = options;
  const deployment = await Deployment.start({ apis, workers, persistence: 'no', env: ENV });
  deployment.upstream.reply(hostileAnswer);
  const fuzzing = new Fuzzing(deployment, options);
  const startedMs = performance.now();
  try {
    await fuzzing.run();
  } finally {
    await deployment
      .stop()
      .catch((error: unknown) => fuzzing.wrong('every process ends as it is told', reasonsOf(error)));
  }
  const { found, statuses, memory, askedOfModel } = fuzzing;
  return { found, statuses, memory, askedOfModel, seconds: (performance.now() - startedMs) / 1_000 };
}

const reasonsOf = (error: unknown): string =>
  error instanceof AggregateError ? error.errors.map(String).join('\n') : String(error);

class Fuzzing {
  readonly found: Found[] = [];
  readonly statuses = new Map<number, number>();
  readonly memory: Memory[] = [];
  askedOfModel = 0;
  readonly #deployment: Deployment;
  readonly #options: FuzzOptions;
  readonly #known = new Known();
  /** What each lane has sent and has no answer to. */
  readonly #open = new Map<number, Attack>();
  /** The attack whose answer had that request id. */
  readonly #byRequestId = new Map<string, Attack>();
  #next = 0;

  constructor(deployment: Deployment, options: FuzzOptions) {
    this.#deployment = deployment;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { requests, compareMemory } = this.#options;
    const plateau = await plateauOf(this.#deployment);
    const over = new AbortController();
    const watching = this.#watch(over.signal);
    await this.#setUp();
    const warm = compareMemory ? Math.round(requests * WARM_SHARE) : 0;
    await this.#attackUntil(warm);
    if (compareMemory) await this.#quiet('warm');
    await this.#attackUntil(requests);
    await this.#waitForRuns();
    over.abort();
    await watching;
    for (const { rule, detail } of await checkLeaks(this.#deployment, plateau)) this.wrong(rule, detail);
    if (compareMemory) await this.#quiet('end');
    this.#compareMemory();
    this.#readLogs();
  }

  wrong(rule: string, detail: string, attack: Attack | null = null): void {
    this.found.push({ rule, detail, attack });
  }

  /** Something of each kind, so that the first requests have something to name. */
  async #setUp(): Promise<void> {
    const wire = new Wire(this.#deployment.service.baseUrl);
    const tools = [{ type: 'function', function: { name: 'look_up', parameters: { type: 'object' } } }];
    const assistant = await wire.ok('POST', '/assistants', { model: 'm', name: 'Aide', tools });
    const thread = await wire.thread('model: calls');
    const run = await wire.play(thread, { assistant_id: assistant.id });
    const lists = [`/threads/${thread}/messages`, `/threads/${thread}/runs/${run.id}/steps`];
    const listed = await Promise.all(lists.map((path) => wire.list(path)));
    this.#known.learn([assistant, { id: thread, object: 'thread' }, run, listed]);
  }

  async #attackUntil(end: number): Promise<void> {
    const lanes = Array.from({ length: this.#options.lanes }, (_, lane) => this.#lane(lane, end));
    await Promise.all(lanes);
  }

  async #lane(lane: number, end: number): Promise<void> {
    const connections = new Map<number, Connection>();
    while (this.#next < end) {
      const index = this.#next++;
      const origins = this.#deployment.service.origins;
      const port = Number(new URL(origins[index % origins.length] ?? '').port);
      const attack = attackOf(this.#options.seed, index, this.#known, `127.0.0.1:${port}`);
      this.#open.set(lane, attack);
      await this.#send(attack, port, connections);
      this.#open.delete(lane);
      if (index % PROGRESS_EVERY > 0) continue;
      this.#options.onProgress?.(index);
      this.#forgetQuestions();
    }
    for (const connection of connections.values()) connection.close();
  }

  async #send(attack: Attack, port: number, connections: Map<number, Connection>): Promise<void> {
    try {
      let connection = connections.get(port);
      if (connection?.isOpen !== true) {
        connection?.close();
        connection = await Connection.open(port);
        connections.set(port, connection);
      }
      const second = attack.manner === 'twice' ? await Connection.open(port) : null;
      const exchanges = await Promise.all([
        connection.send(attack),
        ...(second === null ? [] : [second.send(attack)]),
      ]);
      second?.close();
      if (exchanges[0].left !== 'open' || attack.odd) connection.close();
      for (const exchange of exchanges) this.#hear(attack, exchange);
    } catch {
      // Nobody listens there: the watch says so, and starts it again.
      await delay(WATCH_MS);
    }
  }

  #hear(attack: Attack, exchange: Exchange): void {
    for (const { rule, detail } of judge(attack, exchange)) this.wrong(rule, detail, attack);
    for (const { status, headers, body } of exchange.answers) {
      this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
      this.#byRequestId.set(headers.get('x-request-id') ?? '', attack);
      if (status !== 200) continue;
      const frames = [...body.matchAll(/^data: (\{[^\n]+\})$/gm)].map(([, data = '']) => parsed(data));
      this.#known.learn(frames.length > 0 ? frames : parsed(body));
    }
  }

  /** The model's record of what it was asked is ours, not the service's. */
  #forgetQuestions(): void {
    this.askedOfModel += this.#deployment.upstream.requests.length;
    this.#deployment.upstream.requests.length = 0;
  }

  /** Starts again what has ended, so that one finding does not hide the others. */
  async #watch(over: AbortSignal): Promise<void> {
    const { service, workers } = this.#deployment;
    let expected: readonly ServiceProcess[] = service.living;
    const count = workers.length;
    while (!over.aborted) {
      const gone = expected.filter(({ lives }) => !lives);
      for (const { name, stderr } of gone) {
        const open = [...this.#open.values()].map(({ index }) => index).join();
        this.wrong('no process ends', `${name}, while ${open} were open: ${stderr.slice(0, 2_000)}`);
      }
      if (gone.length > 0) {
        await Promise.all(service.silent.map((origin) => service.crashApi(origin)));
        while (this.#deployment.workers.length < count) await service.startWorker();
        expected = service.living;
      }
      await delay(WATCH_MS, undefined, { signal: over }).catch(() => {});
    }
  }

  /** Runs that wait for outputs are given up when their life is over. */
  async #waitForRuns(): Promise<void> {
    const { admin, service } = this.#deployment;
    for (let left = 2 * RUN_LIFE_S; left > 0; left -= 1) {
      if ((await admin.zcard(`${service.redisPrefix}:open`)) === 0) return;
      await delay(1_000);
    }
  }

  /** Asks every process what it holds once it is idle. */
  async #quiet(when: Memory['when']): Promise<void> {
    await this.#waitForRuns();
    const { service } = this.#deployment;
    for (const { name, pid } of service.living) {
      const told = this.memory.filter((one) => one.name === name).length;
      let seen = 0;
      process.kill(pid, 'SIGUSR2');
      const line = await service.waitForLog(
        ({ process: by, msg }) => by === name && msg === 'memory' && (seen += 1) > told,
      );
      const { rss, held } = memorySchema.parse(line);
      this.memory.push({ name, when, rssBytes: rss, heldBytes: held });
    }
  }

  #compareMemory(): void {
    for (const { name, heldBytes } of this.memory.filter(({ when }) => when === 'end')) {
      const warm = this.memory.find((one) => one.name === name && one.when === 'warm');
      if (warm === undefined || heldBytes <= warm.heldBytes * MOST_GROWTH) continue;
      this.wrong('memory is what it was', `${name} holds ${heldBytes} bytes, had ${warm.heldBytes}`);
    }
  }

  #readLogs(): void {
    this.#forgetQuestions();
    for (const line of this.#deployment.service.logs.filter(({ level }) => level >= ERROR_LEVEL)) {
      const attack = this.#byRequestId.get(String(line['request_id'])) ?? null;
      this.wrong('no line at error level', JSON.stringify(line), attack);
    }
  }
}

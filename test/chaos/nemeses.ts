/** Carries the plan's faults out, each at its time, and heals what it did. Owns no process: it only ends and starts them. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceProcess } from '../support/service.ts';
import type { Deployment } from './deployment.ts';
import type { Fault, FaultType } from './plan.ts';

/** Nobody listens there. */
const DEAD_PORT = 1;
/** Less than an empty Redis needs. */
const TINY_MEMORY = 1;

export class Nemeses {
  /** How often each fault struck. */
  readonly struck = new Map<FaultType, number>();
  /** What went wrong while carrying a fault out: a process that did not come up again, for one. */
  readonly problems: string[] = [];
  readonly #deployment: Deployment;
  readonly #frozen = new Set<ServiceProcess>();
  /** Workers that were ended, or told to end. */
  readonly #leaving = new Set<ServiceProcess>();
  /** Redis and the APIs suffer one fault after the other. */
  readonly #busy = new Map<'Redis' | 'API', Promise<void>>();

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  /** Strikes with every fault when its time comes, counted from now; resolves when all are healed. */
  async strike(faults: readonly Fault[]): Promise<void> {
    await Promise.all(faults.map((fault) => this.#strikeInTime(fault)));
  }

  async #strikeInTime(fault: Fault): Promise<void> {
    await delay(fault.atMs);
    try {
      if (await this.#carryOut(fault)) this.struck.set(fault.type, (this.struck.get(fault.type) ?? 0) + 1);
    } catch (error) {
      this.problems.push(`${fault.type} at ${fault.atMs} ms: ${String(error)}`);
    }
  }

  /** @returns whether there was somebody to strike. */
  async #carryOut({ type, ms, target }: Fault): Promise<boolean> {
    const { service, redis, admin } = this.#deployment;
    switch (type) {
      case 'worker kill -9':
        return this.#replaceWorker(target, 'SIGKILL');
      case 'worker SIGTERM':
        return this.#replaceWorker(target, 'SIGTERM');
      case 'worker pause':
        return this.#freezeWorker(target, ms);
      case 'all workers pause':
        return this.#freeze(this.#awake(), ms);
      case 'API kill -9':
        return this.#inTurn('API', () => service.crashApi(pick(service.origins, target) ?? ''));
      case 'connection drop': {
        const connection = pick(await this.#deployment.connections(), target);
        if (connection !== undefined) await admin.client('KILL', 'ID', connection.id);
        return connection !== undefined;
      }
      case 'Redis pause':
        return this.#inTurn('Redis', async () => {
          await admin.client('PAUSE', ms);
          await delay(ms);
        });
      case 'Redis freeze':
        return this.#inTurn('Redis', () => redis.freeze(ms));
      case 'Redis read-only':
        return this.#inTurn('Redis', async () => {
          await admin.replicaof('127.0.0.1', DEAD_PORT);
          await delay(ms);
          await admin.replicaof('NO', 'ONE');
        });
      case 'Redis out of memory':
        return this.#inTurn('Redis', async () => {
          await admin.config('SET', 'maxmemory', TINY_MEMORY);
          await delay(ms);
          await admin.config('SET', 'maxmemory', 0);
        });
      case 'Redis disk full':
        return this.#inTurn('Redis', async () => {
          await redis.fillDisk();
          await delay(ms);
          await redis.emptyDisk();
        });
      case 'Redis kill -9':
        return this.#inTurn('Redis', async () => {
          await this.#writeHeldBack();
          await redis.crash();
          await redis.restart();
        });
    }
  }

  /**
   * With `everysec` Redis holds back for up to two seconds what it has acknowledged while its disk is busy with the last fsync, and
   * nobody promises that. Without fsync it holds nothing back; its next start has its old setting again.
   */
  async #writeHeldBack(): Promise<void> {
    const { admin, persistence } = this.#deployment;
    if (persistence === 'everysec') await admin.config('SET', 'appendfsync', 'no');
  }

  #staying(): readonly ServiceProcess[] {
    return this.#deployment.workers.filter((worker) => !this.#leaving.has(worker));
  }

  async #replaceWorker(target: number, signal: 'SIGKILL' | 'SIGTERM'): Promise<boolean> {
    const worker = pick(this.#staying(), target);
    if (worker === undefined) return false;
    this.#frozen.delete(worker);
    this.#leaving.add(worker);
    await Promise.all([worker.end(signal), this.#deployment.service.startWorker()]);
    return true;
  }

  async #freezeWorker(target: number, ms: number): Promise<boolean> {
    const worker = pick(this.#awake(), target);
    return this.#freeze(worker === undefined ? [] : [worker], ms);
  }

  /** One that is told to stop and then frozen rightly gives up stopping properly. */
  #awake(): readonly ServiceProcess[] {
    return this.#staying().filter((worker) => !this.#frozen.has(worker));
  }

  async #freeze(workers: readonly ServiceProcess[], ms: number): Promise<boolean> {
    for (const worker of workers) {
      this.#frozen.add(worker);
      worker.freeze();
    }
    await delay(workers.length === 0 ? 0 : ms);
    // It may have been killed meanwhile.
    for (const worker of workers) if (this.#frozen.delete(worker)) worker.proceed();
    return workers.length > 0;
  }

  async #inTurn(who: 'Redis' | 'API', fault: () => Promise<void>): Promise<boolean> {
    const done = (this.#busy.get(who) ?? Promise.resolve()).then(fault);
    this.#busy.set(
      who,
      done.catch(() => {}),
    );
    await done;
    return true;
  }
}

const pick = <T>(items: readonly T[], target: number): T | undefined =>
  items[Math.floor(target * items.length)];

/**
 * Services that test files share, one file after the other: half of what a short file costs is starting an API and a worker for
 * it. Lives in the main process of a test run, because the processes of the files end without saying so. Owns the services, and
 * the server at which files ask for them.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { z } from 'zod';
import { INDEX_JOBS } from '../../src/store/index-jobs.ts';
import { connect } from '../../src/store/redis.ts';
import { RedisKeys } from '../../src/store/keys.ts';
import { RUN_JOBS } from '../../src/store/run-jobs.ts';
import { loanSchema, type Loan } from './loan.ts';
import { Service } from './service.ts';
import { FakeUpstream } from './upstream.ts';

const envSchema = z.record(z.string(), z.string());

interface Kept {
  readonly settings: string;
  readonly service: Service;
  readonly loan: Loan;
}

export class Keeper {
  readonly #redisUrl: string;
  readonly #server: Server;
  readonly #free: Kept[] = [];
  readonly #lent = new Map<string, Kept>();
  readonly #problems: unknown[] = [];

  private constructor(redisUrl: string) {
    this.#redisUrl = redisUrl;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(redisUrl: string): Promise<Keeper> {
    const keeper = new Keeper(redisUrl);
    await new Promise<void>((resolve) => keeper.#server.listen(0, '127.0.0.1', resolve));
    return keeper;
  }

  get url(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  }

  /** Ends every service. @throws what was wrong with any of them, as {@link Service.stop} does. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await Promise.all([...this.#free, ...this.#lent.values()].map((kept) => this.#end(kept)));
    if (this.#problems.length > 0) throw new AggregateError(this.#problems, 'services that files shared');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body: unknown = await json(request);
      const answer = request.method === 'POST' ? await this.#lend(envSchema.parse(body)) : {};
      if (request.method === 'DELETE') await this.#takeBack(loanSchema.parse(body));
      response.end(JSON.stringify(answer));
    } catch (error) {
      response.writeHead(500).end(error instanceof Error ? error.message : String(error));
    }
  }

  async #lend(env: Readonly<Record<string, string>>): Promise<Loan> {
    const settings = JSON.stringify(env);
    const index = this.#free.findIndex((one) => one.settings === settings);
    const kept = this.#free.splice(index, index === -1 ? 0 : 1)[0] ?? (await this.#begin(env));
    this.#lent.set(kept.loan.url, kept);
    return kept.loan;
  }

  async #begin(env: Readonly<Record<string, string>>): Promise<Kept> {
    // A worker asks its model server at once what it has, before the file that is lent the service can answer.
    const upstream = await FakeUpstream.start();
    const upstreamPort = upstream.port;
    const service = new Service(() => ({ redisUrl: this.#redisUrl, upstream, env }));
    try {
      await service.start();
      await upstream.listed;
    } catch (error) {
      await service.stop().catch(() => {});
      throw error;
    } finally {
      await upstream.stop();
    }
    const { url, redisPrefix } = service;
    return { settings: JSON.stringify(env), service, loan: { url, redisPrefix, upstreamPort } };
  }

  /** The next file has it, unless it still works on what this one began: that could reach the next one's model. */
  async #takeBack({ url }: Loan): Promise<void> {
    const kept = this.#lent.get(url);
    if (kept === undefined) throw new Error(`no file has the service at ${url}`);
    this.#lent.delete(url);
    if (kept.service.living.length === 2 && (await this.#isIdle(kept))) this.#free.push(kept);
    else await this.#end(kept);
  }

  /** Whether nothing is queued or executed: no job is there, and every open run waits for its client, and so for ever. */
  async #isIdle({ service: { redisPrefix }, loan }: Kept): Promise<boolean> {
    const redis = connect(this.#redisUrl, { use: 'queue', whenAway: 'wait' });
    try {
      // A run may be queued and its job not be there yet.
      const open = await redis.zrange(new RedisKeys(redisPrefix).open, '0', '-1');
      const waits = await Promise.all(open.map((member) => isWaiting(loan.url, member)));
      const jobs = [RUN_JOBS, INDEX_JOBS].flatMap(({ name }) =>
        ['wait', 'active', 'prioritized', 'delayed'].map((state) => `{${redisPrefix}}:${name}:${state}`),
      );
      return waits.every(Boolean) && (await redis.exists(...jobs)) === 0;
    } finally {
      redis.disconnect();
    }
  }

  async #end({ service }: Kept): Promise<void> {
    await service.stop().catch((error: unknown) => this.#problems.push(error));
  }
}

const runSchema = z.object({ status: z.string() });

/** @param member of the index of open runs: `project/thread/run` */
async function isWaiting(origin: string, member: string): Promise<boolean> {
  const [, threadId, runId] = member.split('/');
  const response = await fetch(`${origin}/v1/threads/${threadId}/runs/${runId}`);
  if (!response.ok) return false;
  return runSchema.parse(await response.json()).status === 'requires_action';
}

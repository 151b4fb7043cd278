/** What is attacked: the service with several APIs and workers, over a Redis and a model server of its own. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { options } from '../sandbox/options.ts';
import { startPrivateRedis, type Persistence, type PrivateRedis } from '../support/redis.ts';
import { startService, type Service, type ServiceProcess } from '../support/service.ts';
import { FakeUpstream } from '../support/upstream.ts';

/** A model that says nothing for this long is given up. Longer than any pause: a worker that wakes blames its model. */
const UPSTREAM_IDLE_MS = 12_000;
/**
 * Where the model listens. It shares its process with hundreds of clients; a worker that has just come up asks it a hundred things
 * at once, over as many new connections, and would give it up before a loop under load had let them all in.
 */
const UPSTREAM_SOCKETS = 16;

export interface DeploymentOptions {
  readonly apis: number;
  readonly workers: number;
  readonly persistence: Persistence;
  /** Further settings, by environment variable. */
  readonly env?: Readonly<Record<string, string>>;
}

export class Deployment {
  readonly redis: PrivateRedis;
  readonly upstream: FakeUpstream;
  readonly service: Service;
  /** Our own way into Redis, to hurt it and to look into it. */
  readonly admin: Redis;
  readonly persistence: Persistence;
  readonly #folder: string;

  private constructor(
    redis: PrivateRedis,
    persistence: Persistence,
    upstream: FakeUpstream,
    service: Service,
    folder: string,
  ) {
    this.#folder = folder;
    this.redis = redis;
    this.persistence = persistence;
    this.upstream = upstream;
    this.service = service;
    this.admin = new Redis(redis.url, { connectionName: 'chaos', retryStrategy: () => 100 });
    // Its losses are our own doing.
    this.admin.on('error', () => {});
  }

  static async start({ apis, workers, persistence, env }: DeploymentOptions): Promise<Deployment> {
    // Each process we start is ended with us, and many more are started than Node thinks usual.
    process.setMaxListeners(0);
    const folder = mkdtempSync(join(tmpdir(), 'longrun-chaos-'));
    mkdirSync(workFolderIn(folder));
    const redis = await startPrivateRedis(persistence);
    const upstream = await FakeUpstream.start(UPSTREAM_SOCKETS);
    const service = await startService({
      redisUrl: redis.url,
      upstream,
      apis,
      workers,
      env: {
        UPSTREAM_IDLE_MS: String(UPSTREAM_IDLE_MS),
        DRAIN_MS: '500',
        // Each of the many losses is our doing, and no reason to give a run up.
        MAX_ATTEMPTS: '100',
        // What Node warns of is a violation; this says where it comes from.
        NODE_OPTIONS: '--trace-warnings',
        // Every log is read at the end.
        LOG_KEPT_S: '3600',
        LIBRARY_URL: libraryIn(folder),
        TMPDIR: workFolderIn(folder),
        CODE_FOLDER: options().codeFolder,
        ...env,
      },
    });
    return new Deployment(redis, persistence, upstream, service, folder);
  }

  /** The file of the library. */
  get library(): string {
    return libraryIn(this.#folder);
  }

  /** Where the workers have what they need for a moment. */
  get workFolder(): string {
    return workFolderIn(this.#folder);
  }

  get workers(): readonly ServiceProcess[] {
    return this.service.living.filter(({ name }) => name.startsWith('worker'));
  }

  /** The service's connections to Redis, by name and number. */
  async connections(): Promise<readonly { readonly id: string; readonly name: string }[]> {
    const lines = String(await this.admin.client('LIST'))
      .trim()
      .split('\n');
    const field = (line: string, name: string): string =>
      new RegExp(`\\b${name}=(\\S*)`).exec(line)?.[1] ?? '';
    return lines
      .map((line) => ({ id: field(line, 'id'), name: field(line, 'name') }))
      .filter(({ name }) => name !== 'chaos');
  }

  /** @throws when a process did not end as it should have. */
  async stop(): Promise<void> {
    try {
      await this.service.stop();
    } finally {
      this.admin.disconnect();
      await this.upstream.stop();
      await this.redis.stop();
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }
}

const libraryIn = (folder: string): string => join(folder, 'library.sqlite');
const workFolderIn = (folder: string): string => join(folder, 'tmp');

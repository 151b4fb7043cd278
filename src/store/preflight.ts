/**
 * Looks at the servers before anything is kept in them: versions, eviction, persistence. It reads INFO, which managed services
 * allow, never CONFIG, which they do not; it changes nothing.
 */
import { masters } from './redis.ts';
import type { ScriptedRedis } from './scripts.ts';

/** What the operator should know; `problems` are reasons not to start. */
export interface Fitness {
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** Sharded channels came with Redis 7; Valkey's first release with them under its own name that is still cared for is 8. */
const OLDEST = { Redis: 7, Valkey: 8 } as const;

/** @throws what Redis throws when it cannot be asked at all. */
export async function preflight(redis: ScriptedRedis): Promise<Fitness> {
  const found = await Promise.all(
    masters(redis).map(async (server) => {
      const info = await server.info();
      // With Sentinels the options do not say which server it has become.
      const { remoteAddress, remotePort } = server.stream;
      return fitnessOf(info, `${remoteAddress}:${remotePort}`);
    }),
  );
  return {
    problems: found.flatMap(({ problems }) => problems),
    warnings: found.flatMap(({ warnings }) => warnings),
  };
}

/** Judges what a server says of itself (the text of INFO). Pure. */
export function fitnessOf(info: string, where: string): Fitness {
  const problems: string[] = [];
  const warnings: string[] = [];
  const field = (name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];

  const product = field('valkey_version') === undefined ? 'Redis' : 'Valkey';
  const version = field(product === 'Valkey' ? 'valkey_version' : 'redis_version');
  if (version === undefined)
    warnings.push(`${where} does not say its version; Longrun needs Redis 7 or Valkey 8.`);
  else if (Number.parseInt(version, 10) < OLDEST[product]) {
    problems.push(
      `REDIS_URL: ${where} is ${product} ${version}. Longrun needs Redis 7 or Valkey 8, or newer.`,
    );
  }

  const policy = field('maxmemory_policy');
  const fix =
    'Set maxmemory-policy noeviction there (CONFIG SET, or the parameter group of a managed service).';
  if (policy === undefined) warnings.push(`${where} does not say its eviction policy. ${fix}`);
  else if (policy !== 'noeviction') {
    problems.push(
      `REDIS_URL: ${where} may delete runs when memory is short: its policy is ${policy}. ${fix}`,
    );
  }

  if (field('aof_enabled') === '0') {
    warnings.push(
      `${where} keeps no append-only file, so a restart loses what it holds. Set appendonly yes there, or have replicas.`,
    );
  }
  return { problems, warnings };
}

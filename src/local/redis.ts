/**
 * The private Redis of `npm start`: a redis-server child with its data in a folder of its own. It listens only on a
 * socket in that folder, so access to the folder decides who can connect, and there is no password to keep.
 */
import { join } from 'node:path';
import { parseRedisUrl, type RedisAddress } from '../redis-url.ts';
import { isListening } from './claim.ts';
import { Part } from './part.ts';
import { makePrivate } from './private.ts';

const SOCKET = 'redis.sock';
/** Writing a large data set takes a while, and ending the server early costs the last second of data. */
const PATIENCE_S = 30;
/** Idle API and worker processes stop in less; without Redis they would wait for it until their deadline. */
const GRACE_S = 1;
const LET_GO_MS = 10_000;
const LOOK_EVERY_MS = 100;
/** By itself, redis-server writes files that every user can read. */
const FOR_OWNER_ONLY = ['/bin/sh', '-c', 'umask 077; exec "$@"', 'sh'];

export interface PrivateRedis {
  readonly part: Part;
  readonly url: string;
}

/**
 * Prepares the server; `part.start()` starts it.
 * @throws when another server still uses the data.
 */
export async function privateRedis(
  options: Pick<ConstructorParameters<typeof Part>[0], 'logPath' | 'say'> & {
    readonly env: NodeJS.ProcessEnv;
    /** Relative, because the path of a socket is limited to some 100 characters. */
    readonly folder: string;
  },
): Promise<PrivateRedis> {
  const { folder, env, ...rest } = options;
  await makePrivate(folder);
  await waitUntilFree(folder);
  const settings = {
    port: '0',
    unixsocket: SOCKET,
    unixsocketperm: '600',
    dir: folder,
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
    'maxmemory-policy': 'noeviction',
  };
  const command = [
    ...FOR_OWNER_ONLY,
    'redis-server',
    ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
  ];
  // Without a port the sentence ends differently, and before version 7.2 it begins differently.
  const isUp = (line: string): boolean => /ready to accept connections/i.test(line);
  const part = new Part({
    ...rest,
    env: () => env,
    name: 'redis',
    command,
    isUp,
    patienceS: PATIENCE_S,
    graceS: GRACE_S,
  });
  return { part, url: `redis+socket://./${join(folder, SOCKET)}` };
}

/**
 * Throws when no server accepts connections at `url`; API and workers check more when they start. The password in the
 * URL is never shown.
 */
export async function checkGivenRedis(url: string): Promise<void> {
  const places = placesOf(parseRedisUrl(url));
  const listening = await Promise.all(places.map(async (place) => isListening(place)));
  if (listening.includes(true)) return;
  const named = places.map((place) => ('path' in place ? place.path : `${place.host}, port ${place.port}`));
  throw new Error(
    `No Redis answers at ${named.join('; or ')}, which REDIS_URL names. Start it, or leave REDIS_URL out: then Longrun brings its own.`,
  );
}

function placesOf(address: RedisAddress): readonly Parameters<typeof isListening>[0][] {
  return address.type === 'socket' ? [{ path: address.path }] : address.nodes;
}

/** Two servers on the same files would ruin them. A server that has just lost its parent is about to end. */
async function waitUntilFree(folder: string): Promise<void> {
  const path = join(folder, SOCKET);
  const deadline = performance.now() + LET_GO_MS;
  while (await isListening({ path })) {
    if (performance.now() > deadline) {
      throw new Error(`Another redis-server still uses ${folder}. Stop it: redis-cli -s ${path} shutdown`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

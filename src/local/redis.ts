/** The private Redis of `npm start`: a redis-server child on the loopback interface, its data in a folder of its own. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseRedisUrl } from '../redis-url.ts';
import { freePort, isListening } from './claim.ts';
import { Part } from './part.ts';

const SOCKET = 'redis.sock';
/** Writing a large data set takes a while, and ending it early costs the last second. */
const PATIENCE_S = 30;
/** API and workers that nobody asks anything stop in less; without Redis they would wait for it until their deadline. */
const GRACE_S = 1;
const LET_GO_MS = 10_000;
const LOOK_EVERY_MS = 100;

export interface PrivateRedis {
  readonly part: Part;
  readonly url: string;
}

/**
 * Prepares the server; `part.start()` starts it.
 * @throws when another server still has the data.
 */
export async function privateRedis(
  options: Pick<ConstructorParameters<typeof Part>[0], 'env' | 'logPath' | 'say'> & {
    readonly folder: string;
  },
): Promise<PrivateRedis> {
  const { folder, ...rest } = options;
  await mkdir(folder, { recursive: true });
  await waitUntilFree(folder);
  const port = await freePort();
  // The socket is there so that the next start can see whether this server still has the data.
  const settings = {
    bind: '127.0.0.1',
    port: `${port}`,
    'protected-mode': 'yes',
    dir: folder,
    unixsocket: SOCKET,
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
    'maxmemory-policy': 'noeviction',
  };
  const command = [
    'redis-server',
    ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
  ];
  const isUp = (line: string): boolean => line.includes('Ready to accept connections');
  const part = new Part({ ...rest, name: 'redis', command, isUp, patienceS: PATIENCE_S, graceS: GRACE_S });
  return { part, url: `redis://127.0.0.1:${port}` };
}

/**
 * Throws when no server accepts connections at `url`; the parts look closer when they start. The password in it is never
 * shown.
 */
export async function checkGivenRedis(url: string): Promise<void> {
  const { nodes } = parseRedisUrl(url);
  const listening = await Promise.all(nodes.map(async (node) => isListening(node)));
  if (listening.includes(true)) return;
  const where = nodes.map(({ host, port }) => `${host}, port ${port}`).join('; or ');
  throw new Error(
    `No Redis answers at ${where}, which REDIS_URL names. Start it, or leave REDIS_URL out: then Longrun brings its own.`,
  );
}

/** Two servers on one set of files would ruin it. One that lost its parent a moment ago is about to end. */
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

/** How much memory this process may use, and giving back what it does not. */
import { flushCompileCache } from 'node:module';
import { totalmem } from 'node:os';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * The size of V8's young generation in API and workers. From the end of their start it would grow from 1 MB, too slowly for a
 * load that comes at once, which would cost a fifth more processor time; and up to 32 MB and more, which a thousand idle streams
 * fill once and keep, 80 KB each. With 8 MB a token costs what it costs with 32. Wherever API and workers are started, they are
 * started with these: by `npm start`, in package.json, Dockerfile and docker-compose.yml. Node takes them in no other way.
 */
export const YOUNG_GENERATION = ['--min-semi-space-size=8', '--max-semi-space-size=8'];

/** The least of the machine's memory, the container's limit and V8's heap limit. */
export function givenBytes(): number {
  // 0, or more than the machine has, outside a container with a limit.
  const container = process.constrainedMemory() || Infinity;
  return Math.min(container, totalmem(), getHeapStatistics().heap_size_limit);
}

/**
 * Gives back what starting took, some 50 MB of a process: while hundreds of modules are loaded V8 lets its young
 * generation grow, and an idle process would keep it. It grows again with the load. Takes a tenth of a second, so a
 * process calls this once all is loaded, before it takes its first work.
 */
export function endOfStart(): void {
  // By itself Node writes what it has compiled when it ends, unless it is killed.
  flushCompileCache();
  // Node has no call for this; the flag makes V8 give each new context a `gc`.
  setFlagsFromString('--expose-gc');
  runInNewContext("gc({ type: 'major', flavor: 'last-resort' })");
}

/** How much memory this process may use. */
import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';

/** The least of the machine's memory, the container's limit and V8's heap limit. */
export function givenBytes(): number {
  // 0, or more than the machine has, outside a container with a limit.
  const container = process.constrainedMemory() || Infinity;
  return Math.min(container, totalmem(), getHeapStatistics().heap_size_limit);
}

/**
 * A thread beside the tool in its process. It ends the process when that takes too much memory, even while the tool
 * keeps the main thread busy.
 */
import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';

const CHECK_MS = 250;
const { maxResidentBytes } = z.object({ maxResidentBytes: z.number() }).parse(workerData);
parentPort?.postMessage('watching');

setInterval(() => {
  if (process.memoryUsage.rss() <= maxResidentBytes) return;
  try {
    // The stream objects belong to the main thread, which may be busy.
    writeSync(2, 'tool process ended: it took too much memory\n');
  } finally {
    // The write fails when the owner no longer reads.
    process.kill(process.pid, 'SIGKILL');
  }
}, CHECK_MS);

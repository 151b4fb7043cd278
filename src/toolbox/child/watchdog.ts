/**
 * A thread beside the tool in its process. It ends the process when that takes too much memory, even while the tool
 * keeps the main thread busy.
 */
import { writeSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

const CHECK_MS = 250;
/** As an argument, which needs no library to be read: every start of a tool's process waits for this thread. */
const maxResidentBytes = Number(process.argv[2]);
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

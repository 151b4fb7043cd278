/**
 * A thread beside the tools of a process. It ends the process when its owner is gone or when it has taken too much memory,
 * also while a tool keeps the main thread busy for ever.
 */
import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';

const CHECK_MS = 250;
const { maxResidentBytes } = z.object({ maxResidentBytes: z.number() }).parse(workerData);
const owner = process.ppid;
parentPort?.postMessage('watching');

setInterval(() => {
  // An owner that was killed outright tells nobody; that somebody else has become our parent says so.
  if (process.ppid !== owner) end('its owner is gone');
  if (process.memoryUsage.rss() > maxResidentBytes) end('it took too much memory');
}, CHECK_MS);

function end(why: string): void {
  try {
    // The stream objects belong to the main thread, which may be busy.
    writeSync(2, `tool process ended: ${why}\n`);
  } finally {
    // Nobody may be left to read that.
    process.kill(process.pid, 'SIGKILL');
  }
}

/** The thread that builds the console, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { build } from './build.ts';

parentPort?.postMessage(build(String(workerData)));

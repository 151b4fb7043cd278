/** Loaded into every process of the fuzzed service: on SIGUSR2 it collects its garbage and logs what it still holds. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';
import { z } from 'zod';

setFlagsFromString('--expose-gc');
const collect = z
  .custom<(how?: object) => void>((value) => typeof value === 'function')
  .parse(runInNewContext('gc'));

if (isMainThread) {
  process.on('SIGUSR2', () => {
    collect();
    // V8 keeps pages it has emptied; only so it gives them back, and what is resident can be compared.
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    const { rss, heapUsed, external } = process.memoryUsage();
    console.log(JSON.stringify({ level: 20, msg: 'memory', rss, held: heapUsed + external }));
  });
}

/** A process that owns a kernel, whose code starts a child and never ends; the test kills it in the middle. */
import { openSandbox } from '../../src/sandbox/open.ts';
import { never, options } from './options.ts';

const [, , dataDir = ''] = process.argv;
const kernel = await openSandbox(options()).open({ dataDir, signal: never });
await kernel.run("import os\nos.fork()\nprint('begun', flush=True)\nwhile True: pass", {
  signal: never,
  onOutput: () => console.log('begun'),
});

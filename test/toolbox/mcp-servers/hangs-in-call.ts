/** Answers until it is called, and then nothing more, pings neither: as a process does that is stuck. */
import { serve, tool } from './wire.ts';

let isStuck = false;
serve({
  'tools/list': () => ({ tools: [tool('wait')] }),
  'tools/call': () => {
    isStuck = true;
    process.stderr.write('called\n');
    return undefined;
  },
  ping: () => (isStuck ? undefined : {}),
});

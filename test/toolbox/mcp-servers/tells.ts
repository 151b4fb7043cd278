/** Tells what it knows: its environment, its process, and what a call brought along. */
import { serve, tool } from './wire.ts';

serve({
  'tools/list': () => ({ tools: [tool('tell')] }),
  'tools/call': (params) => ({
    content: [],
    structuredContent: { env: process.env, pid: process.pid, meta: params['_meta'] ?? null },
  }),
});

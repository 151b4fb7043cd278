/** Fails in many ways, and repeats each time what it was told. */
import { send, serve, tool } from './wire.ts';

serve({
  'tools/list': () => ({ tools: ['says', 'refuses', 'leaves'].map((name) => tool(name)) }),
  'tools/call': (given, id) => {
    const words = JSON.stringify(given);
    process.stderr.write(`${words}\n`);
    if (given['name'] === 'says') return { isError: true, content: [{ type: 'text', text: words }] };
    if (given['name'] === 'refuses') send({ id, error: { code: -32000, message: words } });
    else process.exit(1);
    return undefined;
  },
});

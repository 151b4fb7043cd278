/** Has `first`; calling it makes it `second`, calling that breaks the list. */
import { send, serve, text, tool } from './wire.ts';

let name = 'first';
serve({
  'tools/list': (_, id) => {
    if (name !== 'broken') return { tools: [tool(name)] };
    send({ id, error: { code: -32603, message: 'lost the list' } });
    return undefined;
  },
  'tools/call': () => {
    name = name === 'first' ? 'second' : 'broken';
    send({ method: 'notifications/tools/list_changed' });
    return text('changed');
  },
});

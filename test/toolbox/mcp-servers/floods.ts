/** When called, writes without end: one line (`line`), lines that are no messages (`garbage`), or on stderr (`stderr`). */
import { serve, tool } from './wire.ts';

const [, , what] = process.argv;
const stream = what === 'stderr' ? process.stderr : process.stdout;
const chunk = what === 'garbage' ? '{"not":"a message"}\n'.repeat(1_000) : 'x'.repeat(64 * 1024);

function flood(): void {
  while (stream.write(chunk));
  stream.once('drain', flood);
}

serve({
  'tools/list': () => ({ tools: [tool('flood')] }),
  'tools/call': () => {
    setImmediate(flood);
    return what === 'stderr' ? { content: [] } : undefined;
  },
});

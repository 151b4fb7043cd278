/** Dies in the first call that it is ever made, which it notes in a file, and answers later ones with how many there were. */
import { appendFileSync, readFileSync } from 'node:fs';
import { serve, text, tool } from './wire.ts';

const notes = process.argv[2] ?? '';

serve({
  'tools/list': () => ({
    tools: [tool('look', { annotations: { readOnlyHint: true } }), tool('act')],
  }),
  'tools/call': () => {
    appendFileSync(notes, 'call\n');
    const calls = readFileSync(notes, 'utf8').split('\n').length - 1;
    if (calls === 1) process.exit(1);
    return text(`call ${calls}`);
  },
});

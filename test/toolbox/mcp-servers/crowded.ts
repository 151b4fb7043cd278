/** Ten thousand tools, on pages that never end. */
import { serve, tool } from './wire.ts';

const tools = Array.from({ length: 10_000 }, (_, index) => tool(`tool-${index}`));
serve({ 'tools/list': ({ cursor = '0' }) => ({ tools, nextCursor: String(Number(cursor) + 1) }) });

/**
 * Where Node keeps what it has compiled of our sources and packages, types already stripped: the folder that the set-up
 * gives every process it starts. Half of what a process costs at its start is reading the same sources again.
 */
import { fileURLToPath } from 'node:url';

export const COMPILE_CACHE = fileURLToPath(
  new URL('../../node_modules/.cache/node-compile', import.meta.url),
);

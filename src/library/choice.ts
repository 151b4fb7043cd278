/**
 * Which of the found chunks are given. Chunks of a file overlap, so the neighbours of a good one are found as well and say
 * half of it again; they come only where there is room. Pure.
 */
import type { FoundChunk } from './library.ts';

/** How much of the beginning of a chunk is looked for in the one before. */
const LOOKED_FOR = 40;

/** At most `limit` of the found, which come the best first; and so they are given. */
export function chosen(found: Iterable<FoundChunk>, limit: number): readonly FoundChunk[] {
  const first: FoundChunk[] = [];
  const repeating: FoundChunk[] = [];
  for (const one of found) {
    if (first.length === limit) break;
    const own = first.filter(({ fileId }) => fileId === one.fileId);
    // A file may lie in several of the stores.
    if (own.some(({ text }) => text === one.text)) continue;
    if (own.some((other) => repeats(one, other))) repeating.push(one);
    else first.push(one);
  }
  return [...first, ...repeating].slice(0, limit).toSorted((a, b) => b.score - a.score);
}

/** Whether two chunks of a file have a part in common. */
function repeats(one: FoundChunk, other: FoundChunk): boolean {
  if (Math.abs(one.position - other.position) !== 1) return false;
  const [before, after] = one.position < other.position ? [one, other] : [other, one];
  return before.text.includes(after.text.slice(0, LOOKED_FOR));
}

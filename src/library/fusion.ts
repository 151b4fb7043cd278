/**
 * What was found by words and what was found by meaning, in one order. Of each list only the ranks count, because scores of
 * different kinds cannot be compared. Pure.
 */

/** A larger number lets late ranks count more. */
const K = 10;
/** Meaning must be favoured, or the words do harm where the question is asked in other words than it is answered in. */
const WEIGHTS = { words: 0.5, meaning: 1 } as const;

/** How many of each list are looked at for so many results: some of them will say the same. */
export function depthFor(limit: number): number {
  return Math.max(50, 4 * limit);
}

/** What one query has found, the best first, by the numbers of chunks. */
export interface QueryRanks {
  readonly words: readonly number[];
  readonly meaning: readonly number[];
}

export interface FusedChunk {
  readonly chunk: number;
  /** From 0 to 1, where 1 is the first of every list that found anything. */
  readonly score: number;
}

/** Everything that was found, the best first. A chunk counts by the query that it answers best. */
export function fused(queries: readonly QueryRanks[]): readonly FusedChunk[] {
  const best = new Map<number, number>();
  const sums = new Map<number, number>();
  for (const query of queries) {
    for (const [chunk, score] of scoresOf(query)) {
      best.set(chunk, Math.max(score, best.get(chunk) ?? 0));
      sums.set(chunk, score + (sums.get(chunk) ?? 0));
    }
  }
  const sum = (chunk: number): number => sums.get(chunk) ?? 0;
  return [...best]
    .map(([chunk, score]) => ({ chunk, score }))
    .toSorted((a, b) => b.score - a.score || sum(b.chunk) - sum(a.chunk) || a.chunk - b.chunk);
}

function scoresOf(query: QueryRanks): ReadonlyMap<number, number> {
  const scores = new Map<number, number>();
  let most = 0;
  for (const kind of ['words', 'meaning'] as const) {
    if (query[kind].length > 0) most += WEIGHTS[kind] / (K + 1);
    for (const [index, chunk] of query[kind].entries())
      scores.set(chunk, (scores.get(chunk) ?? 0) + WEIGHTS[kind] / (K + 1 + index));
  }
  for (const [chunk, score] of scores) scores.set(chunk, Math.min(1, score / most));
  return scores;
}

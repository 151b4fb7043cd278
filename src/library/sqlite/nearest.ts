/** The vectors that point most nearly where a query's does, among all that are shown one group at a time. */

interface NearChunk {
  readonly file: number;
  readonly position: number;
  readonly likeness: number;
}

export class Nearest {
  readonly #vector: Float32Array;
  readonly #most: number;
  /** The best first. */
  readonly #found: NearChunk[] = [];
  /** What is less alike is not kept. */
  #least = -Infinity;

  /** @param most how many are kept */
  constructor(vector: Float32Array, most: number) {
    this.#vector = vector;
    this.#most = most;
  }

  /** The best first. */
  get found(): readonly NearChunk[] {
    return this.#found;
  }

  /** Compares with vectors of length 1 that lie one after the other: those of a file's chunks from `first` on. */
  compare(group: Float32Array, file: number, first: number): void {
    const dimensions = this.#vector.length;
    for (let start = 0; start + dimensions <= group.length; start += dimensions) {
      const likeness = product(this.#vector, group, start);
      if (likeness > this.#least) this.#keep({ file, position: first + start / dimensions, likeness });
    }
  }

  #keep(chunk: NearChunk): void {
    let at = this.#found.length;
    while (at > 0 && (this.#found[at - 1]?.likeness ?? 0) < chunk.likeness) at -= 1;
    this.#found.splice(at, 0, chunk);
    if (this.#found.length > this.#most) this.#found.pop();
    if (this.#found.length === this.#most) this.#least = this.#found.at(-1)?.likeness ?? -Infinity;
  }
}

/** Four sums at once, because each addition would else wait for the one before. */
function product(vector: Float32Array, group: Float32Array, start: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  const { length } = vector;
  let at = 0;
  for (; at + 3 < length; at += 4) {
    a += (vector[at] ?? 0) * (group[start + at] ?? 0);
    b += (vector[at + 1] ?? 0) * (group[start + at + 1] ?? 0);
    c += (vector[at + 2] ?? 0) * (group[start + at + 2] ?? 0);
    d += (vector[at + 3] ?? 0) * (group[start + at + 3] ?? 0);
  }
  for (; at < length; at += 1) a += (vector[at] ?? 0) * (group[start + at] ?? 0);
  return a + b + c + d;
}

/** Vectors as they are kept: of length 1, so that the product of two says how alike they are. Pure. */

/** The vector with length 1; one of zeros stays, and is like nothing. */
export function unit(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, number) => sum + number * number, 0));
  if (length === 0 || !Number.isFinite(length)) return new Float32Array(vector.length);
  return vector.map((number) => number / length);
}

/**
 * The vectors one after the other.
 * @throws {RangeError} unless there are `count`, all of the same length.
 */
export function joined(vectors: readonly Float32Array[], count: number): Float32Array<ArrayBuffer> {
  const dimensions = vectors[0]?.length ?? 0;
  if (vectors.length !== count || vectors.some(({ length }) => length !== dimensions))
    throw new RangeError('each chunk needs one vector, and all of the same length');
  const numbers = new Float32Array(count * dimensions);
  for (const [index, vector] of vectors.entries()) numbers.set(vector, index * dimensions);
  return numbers;
}

/**
 * Any character there is, for random texts; halves of surrogate pairs are none. fast-check's own (`unit: 'binary'`) makes a
 * table of all of them first, which takes a second in every process.
 */
import * as fc from 'fast-check';

const FIRST_SURROGATE = 0xd800;
const SURROGATES = 0x800;

export const character: fc.Arbitrary<string> = fc
  .nat({ max: 0x10_ffff - SURROGATES })
  .map((n) => String.fromCodePoint(n < FIRST_SURROGATE ? n : n + SURROGATES));

/** How prompts are measured without any model's tokenizer. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { estimateTokens } from '../../src/runs/prompt.ts';

describe('estimateTokens', () => {
  test('is a quarter of the UTF-8 bytes of any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 50 }), (value) => {
        expect(estimateTokens(value)).toBe(Math.ceil(Buffer.byteLength(value) / 4));
      }),
    );
  });
});

/** A model server that makes vectors of texts, as simply as can be: one number for each of some words. */
import type { Act } from './endpoints.ts';
import { sendJson } from './endpoints.ts';
import { z } from 'zod';

const inputSchema = z.looseObject({ input: z.array(z.string()) });

/**
 * How {@link OtherEndpoints} answers `/v1/embeddings`; it knows no other endpoint.
 * @param before is called before the first, the second … answer, which waits for it
 */
export function embeddings(
  words: readonly string[],
  before: (asked: number) => Promise<void> = async () => {},
): Act['act'] {
  let asked = 0;
  return async (response, _request, { path, body }) => {
    if (path !== '/v1/embeddings') return sendJson(response, 404, { error: { message: 'Not here.' } });
    asked += 1;
    await before(asked);
    const { input } = inputSchema.parse(JSON.parse(body.toString()));
    const data = input.map((text, index) => ({ index, embedding: vectorOf(words, text) }));
    return sendJson(response, 200, { object: 'list', data });
  };
}

/** The last number is the same for all texts, so that none is of zeros only. */
function vectorOf(words: readonly string[], text: string): readonly number[] {
  return [...words.map((word) => (text.includes(word) ? 1 : 0)), 0.1];
}

/** How a client wants files to be cut, as it is stored: for vector stores, and for those that are made on the way. */
import { z } from 'zod';
import { AUTO_CHUNKING, type StaticChunking } from '../../runs/vector-store.ts';

export const chunking = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.literal('auto') }),
    z.strictObject({
      type: z.literal('static'),
      static: z.strictObject({
        max_chunk_size_tokens: z.int().min(100).max(4_096),
        chunk_overlap_tokens: z.int().min(0),
      }),
    }),
  ])
  .superRefine((value, context) => {
    if (value.type === 'auto') return;
    const { max_chunk_size_tokens: size, chunk_overlap_tokens: overlap } = value.static;
    if (overlap * 2 <= size) return;
    context.addIssue({
      code: 'custom',
      message: `chunk_overlap_tokens must be at most half of max_chunk_size_tokens, which is ${size}.`,
      path: ['static', 'chunk_overlap_tokens'],
    });
  })
  .nullish()
  .transform((value): StaticChunking => (value?.type === 'static' ? value : AUTO_CHUNKING));

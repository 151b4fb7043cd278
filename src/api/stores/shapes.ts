/** Request shapes of vector stores, with the bounds of the hosted API; each turns what clients send into what is stored. */
import { z } from 'zod';
import { filterProblem, type AttributeFilter } from '../../runs/vector-store.ts';
import { attributes, attributeValue, MAX_KEY_LENGTH, MAX_VALUE_LENGTH } from '../http/attributes.ts';
import { chunking } from '../http/chunking.ts';
import { refuse } from '../http/shapes.ts';

export const MAX_BATCH_FILES = 2_000;
const MAX_FIRST_FILES = 500;
const MAX_QUERIES = 10;
const MAX_QUERY_LENGTH = 4_096;

const fileId = z.string().min(1).max(128);

export const expiresAfter = z.strictObject({
  anchor: z.literal('last_active_at'),
  days: z.int().min(1).max(365),
});

export { attributes };

export const name = z.string().max(256);

export const createBody = <Metadata extends z.ZodType>(metadata: Metadata) =>
  z.strictObject({
    file_ids: z.array(fileId).max(MAX_FIRST_FILES).nullish(),
    name: name.nullish(),
    description: z.string().max(512).nullish(),
    expires_after: expiresAfter.nullish(),
    chunking_strategy: chunking,
    metadata,
  });

export const entry = z.strictObject({ file_id: fileId, chunking_strategy: chunking, attributes });

export const batchBody = z
  .strictObject({
    file_ids: z.array(fileId).min(1).max(MAX_BATCH_FILES).nullish(),
    files: z.array(entry).min(1).max(MAX_BATCH_FILES).nullish(),
    chunking_strategy: chunking,
    attributes,
  })
  .superRefine(({ file_ids, files }, context) => {
    if ((file_ids == null) !== (files == null)) return;
    context.addIssue({ code: 'custom', message: "Give either 'file_ids' or 'files'.", path: ['file_ids'] });
  });

const comparison = z.union([
  z.strictObject({
    type: z.enum(['eq', 'ne']),
    key: z.string().max(MAX_KEY_LENGTH),
    value: attributeValue,
  }),
  z.strictObject({
    type: z.enum(['gt', 'gte', 'lt', 'lte']),
    key: z.string().max(MAX_KEY_LENGTH),
    value: z.union([z.string().max(MAX_VALUE_LENGTH), z.number()]),
  }),
  z.strictObject({
    type: z.enum(['in', 'nin']),
    key: z.string().max(MAX_KEY_LENGTH),
    value: z.array(attributeValue),
  }),
]);

const group: z.ZodType<AttributeFilter> = z.strictObject({
  type: z.enum(['and', 'or']),
  filters: z.array(z.lazy(() => part)),
});
const part: z.ZodType<AttributeFilter> = z.union([comparison, group]);

/** Bounded before it is read: a part that is wrong is told with every way in which it could be meant. */
const filter = z
  .unknown()
  .superRefine((value, context) => {
    const problem = value == null ? null : filterProblem(value);
    if (problem !== null)
      refuse(context, { code: 'invalid_value', message: `Invalid '{param}': ${problem}` });
  })
  .pipe(part.nullish());

const query = z.string().trim().min(1).max(MAX_QUERY_LENGTH);

export const searchBody = z.strictObject({
  query: z.union([query, z.array(query).min(1).max(MAX_QUERIES)]),
  rewrite_query: z.boolean().nullish(),
  max_num_results: z.int().min(1).max(50).nullish(),
  filters: filter.optional(),
  ranking_options: z
    .strictObject({
      ranker: z.enum(['none', 'auto', 'default-2024-11-15', 'default_2024_08_21']).nullish(),
      score_threshold: z.number().min(0).max(1).nullish(),
    })
    .nullish(),
});

export const statusFilter = z.enum(['in_progress', 'completed', 'failed', 'cancelled']);

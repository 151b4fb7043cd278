/** The routes of vector stores, and what the other routes name of files and stores: hosted tools, their resources, attachments. */
import type { Random } from '../chaos/random.ts';
import { get, list, LONG, post, remove, some, type Routes } from './drafts.ts';
import { oneOf, type Known } from './known.ts';
import { deep } from './mutate.ts';

/** What filters may have, and more than that. */
const FILTER_DEPTHS = [1, 3, 20, 50_000];
const STATUSES = ['in_progress', 'completed', 'failed', 'cancelled', 'done', ''];

const fileId = (random: Random, known: Known): string =>
  random.chance(0.8) ? (oneOf(random, known.files) ?? 'file-none') : known.anyId(random);
const storeId = (random: Random, known: Known): string =>
  random.chance(0.8) ? (oneOf(random, known.stores) ?? 'vs_none') : known.anyId(random);
const fileIds = (random: Random, known: Known, most = 3): readonly string[] =>
  Array.from({ length: random.between(0, most) }, () => fileId(random, known));

/** Tools that the server answers itself. */
export const hostedTools = (random: Random): readonly object[] => {
  const search = {
    max_num_results: random.pick([1, 50, 0]),
    ranking_options: { ranker: 'auto', score_threshold: random.pick([0, 0.5, 1, -1]) },
  };
  return [
    { type: 'file_search', ...(random.chance(0.4) && { file_search: some(random, search) }) },
    { type: 'code_interpreter' },
  ].filter(() => random.chance(0.2));
};

/** What hosted tools work with; some of it is not there. */
export const toolResources = (random: Random, known: Known): object =>
  some(random, {
    code_interpreter: { file_ids: fileIds(random, known) },
    file_search: random.pick([
      { vector_store_ids: [storeId(random, known)] },
      { vector_store_ids: [] },
      { vector_stores: [some(random, { file_ids: fileIds(random, known), metadata: { a: 'b' } })] },
      { vector_store_ids: [storeId(random, known)], vector_stores: [{}] },
    ]),
  });

/** Files of a message. */
export const attachments = (random: Random, known: Known): readonly object[] =>
  Array.from({ length: random.between(0, 2) }, () => ({
    file_id: fileId(random, known),
    tools: [{ type: random.pick(['file_search', 'code_interpreter', 'function']) }],
  }));

const value = (random: Random): unknown =>
  random.pick(['', 'blue', '图', "' OR 1=1 --", 'x'.repeat(600), 0, -1.5, 1e308, true, null]);
const key = (random: Random): string =>
  random.pick(['color', '', '__proto__', 'a"b', '$.a', 'x'.repeat(64), 'x'.repeat(65)]);
const attributes = (random: Random): object =>
  Object.fromEntries(
    Array.from({ length: random.pick([0, 1, 2, 17]) }, (_, index) => [
      `${key(random)}${index}`,
      value(random),
    ]),
  );

const comparison = (random: Random): object => {
  const type = random.pick(['eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'nin', 'like']);
  const values = type.endsWith('in') ? [value(random), value(random)] : value(random);
  return { type, key: key(random), value: values };
};
const filter = (random: Random): unknown => {
  const depth = random.pick(FILTER_DEPTHS);
  if (depth > 100) return deep(depth);
  let one = comparison(random);
  for (let level = 0; level < depth; level += 1)
    one = { type: random.pick(['and', 'or']), filters: [one, comparison(random)] };
  return one;
};

const chunking = (random: Random): object =>
  random.pick([
    { type: 'auto' },
    { type: 'static', static: { max_chunk_size_tokens: 100, chunk_overlap_tokens: 50 } },
    { type: 'static', static: { max_chunk_size_tokens: 100, chunk_overlap_tokens: 51 } },
    { type: 'static', static: { max_chunk_size_tokens: 1e9, chunk_overlap_tokens: -1 } },
  ]);
const storeFields = (random: Random): Record<string, unknown> =>
  some(random, {
    name: random.pick(['', 'Handbook', '手册', 'x'.repeat(LONG)]),
    expires_after: { anchor: 'last_active_at', days: random.pick([1, 365, 0, 1e9]) },
    metadata: { a: 'b' },
  });
const entry = (random: Random, known: Known): object => ({
  file_id: fileId(random, known),
  ...some(random, { attributes: attributes(random), chunking_strategy: chunking(random) }),
});

const storePath = (random: Random, known: Known, rest = ''): string =>
  `/v1/vector_stores/${storeId(random, known)}${rest}`;
/** A file in the store that it is in, or one that is elsewhere. */
const shelvedPath = (random: Random, known: Known, rest = ''): string => {
  const { store, id } = oneOf(random, known.shelved) ?? { store: 'vs_none', id: 'file-none' };
  return `/v1/vector_stores/${store}/files/${random.chance(0.9) ? id : fileId(random, known)}${rest}`;
};
const batchPath = (random: Random, known: Known, rest = ''): string => {
  const { store, id } = oneOf(random, known.batches) ?? { store: 'vs_none', id: 'vsfb_none' };
  return `/v1/vector_stores/${store}/file_batches/${id}${rest}`;
};
const filtered = (random: Random, known: Known): string => {
  const query = list(random, known);
  return `${query}${query === '' ? '?' : '&'}filter=${random.pick(STATUSES)}`;
};

export const STORE_ROUTES: Routes = {
  'POST /v1/vector_stores': [
    4,
    post(
      () => '/v1/vector_stores',
      (random, known) => ({
        ...storeFields(random),
        ...some(random, { file_ids: fileIds(random, known), chunking_strategy: chunking(random) }),
      }),
    ),
  ],
  'GET /v1/vector_stores': [2, get((random, known) => `/v1/vector_stores${list(random, known)}`)],
  'GET /v1/vector_stores/:vector_store_id': [2, get((random, known) => storePath(random, known))],
  'POST /v1/vector_stores/:vector_store_id': [
    2,
    post((random, known) => storePath(random, known), storeFields),
  ],
  'DELETE /v1/vector_stores/:vector_store_id': [1, remove((random, known) => storePath(random, known))],
  'POST /v1/vector_stores/:vector_store_id/search': [
    5,
    post(
      (random, known) => storePath(random, known, '/search'),
      (random) => ({
        query: random.pick(['hello', '图', '"', 'a* NEAR(b) OR', '\u0000', ['hello', 'x'], 'x'.repeat(LONG)]),
        ...some(random, {
          filters: filter(random),
          max_num_results: random.pick([1, 50, 51]),
          ranking_options: { ranker: 'auto', score_threshold: random.pick([0, 1, 2]) },
          rewrite_query: random.chance(0.2),
        }),
      }),
    ),
  ],
  'POST /v1/vector_stores/:vector_store_id/files': [
    5,
    post((random, known) => storePath(random, known, '/files'), entry),
  ],
  'GET /v1/vector_stores/:vector_store_id/files': [
    2,
    get((random, known) => storePath(random, known, `/files${filtered(random, known)}`)),
  ],
  'GET /v1/vector_stores/:vector_store_id/files/:file_id': [
    2,
    get((random, known) => shelvedPath(random, known)),
  ],
  'POST /v1/vector_stores/:vector_store_id/files/:file_id': [
    2,
    post(
      (random, known) => shelvedPath(random, known),
      (random) => ({ attributes: attributes(random) }),
    ),
  ],
  'DELETE /v1/vector_stores/:vector_store_id/files/:file_id': [
    1,
    remove((random, known) => shelvedPath(random, known)),
  ],
  'GET /v1/vector_stores/:vector_store_id/files/:file_id/content': [
    2,
    get((random, known) => shelvedPath(random, known, '/content')),
  ],
  'POST /v1/vector_stores/:vector_store_id/file_batches': [
    3,
    post(
      (random, known) => storePath(random, known, '/file_batches'),
      (random, known) =>
        random.pick<object>([
          { file_ids: fileIds(random, known), ...some(random, { attributes: attributes(random) }) },
          { files: [entry(random, known), entry(random, known)] },
          { file_ids: ['file-none'], files: [] },
        ]),
    ),
  ],
  'GET /v1/vector_stores/:vector_store_id/file_batches/:batch_id': [
    2,
    get((random, known) => batchPath(random, known)),
  ],
  'POST /v1/vector_stores/:vector_store_id/file_batches/:batch_id/cancel': [
    2,
    post(
      (random, known) => batchPath(random, known, '/cancel'),
      () => undefined,
    ),
  ],
  'GET /v1/vector_stores/:vector_store_id/file_batches/:batch_id/files': [
    1,
    get((random, known) => batchPath(random, known, `/files${filtered(random, known)}`)),
  ],
};

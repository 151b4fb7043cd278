/** Searches in a library in PostgreSQL. */
import { chosen } from '../choice.ts';
import { Bindings, conditionOf, type SqlValue } from '../conditions.ts';
import { depthFor, fused } from '../fusion.ts';
import type { FoundChunk, LibraryQuery, LibrarySearch } from '../library.ts';
import { unit } from '../vectors.ts';
import type { Connections, Transaction } from './connections.ts';
import { tsqueriesOf } from './lexemes.ts';
import { vectorsTable } from './schema.ts';
import { vectorText } from './write.ts';

/** PostgreSQL's rank of a word that stands in a text once. */
const RANK_OF_ONE = 0.0607927;
/** Of so many times the chunks that are wanted, the places of words are read; of others only which words they have. */
const LIKELY = 2;
/** So many vectors are compared one by one: an index that is filtered finds less, and is not faster then. */
const EXACT_CHUNKS = 10_000;
/** How far the index is looked through when a filter lets little through. */
const SCANNED_TUPLES = 100_000;

export async function searchIn(
  connections: Connections,
  search: LibrarySearch,
): Promise<readonly FoundChunk[]> {
  const { queries, limit, minScore, storeIds } = search;
  if (storeIds.length === 0) return [];
  const depth = depthFor(limit);
  return connections.transaction(async (transaction) => {
    // All that is read belongs to one moment.
    await transaction.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY', []);
    const scope = await scopeOf(transaction, search);
    const ranks = [];
    for (const query of queries) {
      ranks.push({
        words: await byWords(transaction, search, scope, query, depth),
        meaning: await byMeaning(transaction, search, scope, query, depth),
      });
    }
    const wanted = fused(ranks).filter(({ score }) => score >= minScore);
    const chunks = await chunksOf(
      transaction,
      wanted.map(({ chunk }) => chunk),
    );
    const found = wanted.flatMap(({ chunk, score }) => {
      const one = chunks.get(chunk);
      return one === undefined ? [] : [{ ...one, score }];
    });
    return chosen(found, limit);
  });
}

/** How much there is to look into. */
interface SearchScope {
  readonly chunks: number;
  /** With vectors of the space and dimensions of the queries. */
  readonly near: number;
  readonly dimensions: number;
}

/** The condition that files have to meet. */
function within({ project, storeIds, filter }: LibrarySearch, bindings: Bindings): string {
  return `f.state = 1 AND f.project = ${bindings.bind(project)} AND f.store IN ${bindings.list(storeIds)}
    AND ${conditionOf(filter, bindings)}`;
}

const numbered = (): Bindings => new Bindings('longrun.attributes', (number) => `$${number}`);

async function scopeOf(transaction: Transaction, search: LibrarySearch): Promise<SearchScope> {
  const dimensions = search.queries.find(({ vector }) => vector !== null)?.vector?.length ?? 0;
  const bindings = numbered();
  const isNear = `f.space = ${bindings.bind(search.space ?? '')} AND f.dimensions = ${bindings.bind(dimensions)}`;
  const [row] = await transaction.query<{ chunks: string; near: string }>(
    `SELECT coalesce(sum(f.chunks), 0) AS chunks, coalesce(sum(f.chunks) FILTER (WHERE ${isNear}), 0) AS near
     FROM longrun.files f WHERE ${within(search, bindings)}`,
    bindings.values,
  );
  const near = search.space === null || dimensions === 0 ? 0 : Number(row?.near);
  return { chunks: Number(row?.chunks), near, dimensions };
}

/**
 * The chunks that have any of the words, ranked as BM25 does it: by how often they have them, how rare the words are, and how
 * long the chunk is. PostgreSQL's own rank does not know how rare a word is.
 */
async function byWords(
  transaction: Transaction,
  search: LibrarySearch,
  scope: SearchScope,
  { text }: LibraryQuery,
  depth: number,
): Promise<readonly number[]> {
  const words = tsqueriesOf(text);
  if (words.length === 0 || scope.chunks === 0) return [];
  const bindings = numbered();
  const rows = words.map((word) => `(${bindings.bind(word)}::tsquery)`).join(', ');
  const files = within(search, bindings);
  const total = bindings.bind(scope.chunks);
  const found = await transaction.query<{ id: string }>(
    `WITH pairs AS MATERIALIZED (
        SELECT c.id, t.word FROM (VALUES ${rows}) AS t (word)
        JOIN longrun.chunks c ON c.words @@ t.word JOIN longrun.files f ON f.id = c.file WHERE ${files}),
      rare AS (
        SELECT word, ln(1 + (${total}::float8 - count(*) + 0.5) / (count(*) + 0.5)) AS weight FROM pairs GROUP BY word),
      likely AS (
        SELECT p.id FROM pairs p JOIN rare r ON r.word = p.word
        GROUP BY p.id ORDER BY sum(r.weight) DESC, p.id LIMIT ${bindings.bind(depth * LIKELY)}),
      looked AS MATERIALIZED (
        SELECT c.id, c.words, length(c.words)::float8 AS size FROM likely l JOIN longrun.chunks c ON c.id = l.id),
      usual AS (SELECT avg(size) AS size FROM looked),
      counted AS (
        SELECT l.id, l.size, r.weight, ts_rank(l.words, r.word) / ${RANK_OF_ONE} AS times
        FROM looked l JOIN rare r ON l.words @@ r.word)
     SELECT c.id FROM counted c CROSS JOIN usual u GROUP BY c.id
     ORDER BY sum(c.weight * c.times / (c.times + 1.2 * (0.25 + 0.75 * c.size / u.size))) DESC, c.id
     LIMIT ${bindings.bind(depth)}`,
    bindings.values,
  );
  return found.map(({ id }) => Number(id));
}

async function byMeaning(
  transaction: Transaction,
  search: LibrarySearch,
  { near, dimensions }: SearchScope,
  { vector }: LibraryQuery,
  depth: number,
): Promise<readonly number[]> {
  if (vector === null || near === 0 || vector.length !== dimensions) return [];
  const isExact = near <= EXACT_CHUNKS;
  if (!isExact) {
    await transaction.query(`SET LOCAL hnsw.iterative_scan = relaxed_order`, []);
    await transaction.query(`SET LOCAL hnsw.max_scan_tuples = ${SCANNED_TUPLES}`, []);
    await transaction.query(`SET LOCAL hnsw.ef_search = ${Math.min(1_000, Math.max(100, depth))}`, []);
  }
  const bindings = numbered();
  const distance = `v.vector <#> ${bindings.bind(vectorText(unit(vector)))}::halfvec(${dimensions})`;
  // With something added, it is no order that the index could give.
  const order = isExact ? `(${distance}) + 0` : distance;
  const rows = await transaction.query<{ chunk: string; distance: number }>(
    `SELECT v.chunk, ${distance} AS distance FROM ${vectorsTable(dimensions)} v JOIN longrun.files f ON f.id = v.file
     WHERE f.space = ${bindings.bind(search.space ?? '')} AND ${within(search, bindings)}
     ORDER BY ${order} LIMIT ${bindings.bind(depth)}`,
    bindings.values,
  );
  // The index gives them in nearly this order.
  return rows.toSorted((a, b) => a.distance - b.distance).map(({ chunk }) => Number(chunk));
}

async function chunksOf(
  transaction: Transaction,
  ids: readonly number[],
): Promise<ReadonlyMap<number, Omit<FoundChunk, 'score'>>> {
  const rows = await transaction.query<
    Record<'id' | 'storeId' | 'fileId' | 'text', string> & { position: number }
  >(
    `SELECT c.id, f.store AS "storeId", f.name AS "fileId", c.position, c.text
     FROM longrun.chunks c JOIN longrun.files f ON f.id = c.file WHERE c.id = ANY($1::bigint[])`,
    [ids satisfies readonly SqlValue[]],
  );
  return new Map(rows.map(({ id, ...chunk }) => [Number(id), chunk]));
}

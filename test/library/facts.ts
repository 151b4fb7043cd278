/** What is true of every library, whatever it is made of. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { AttributeFilter, ChunkText, FileAttributes } from '../../src/runs/vector-store.ts';
import { dividedWords } from '../../src/runs/words.ts';
import {
  Superseded,
  type FilePlace,
  type FoundChunk,
  type Library,
  type LibrarySearch,
} from '../../src/library/library.ts';

/** The chunk of a text, as documents are cut. */
export function chunkOf(text: string): ChunkText {
  const words = dividedWords(text);
  return { text, ...(words !== null && { words }) };
}

interface Written {
  readonly attributes?: FileAttributes;
  readonly space?: string | null;
  readonly vectors?: readonly (readonly number[])[] | null;
}

/** Puts a file into a library. */
export async function put(
  library: Library,
  place: FilePlace,
  texts: readonly string[],
  { attributes = {}, space = null, vectors = null }: Written = {},
): Promise<void> {
  const write = await library.write({ ...place, attributes, space });
  await write.add(texts.map(chunkOf), vectors?.map((vector) => Float32Array.from(vector)) ?? null);
  await write.commit();
}

/** @param missing why there is no such library here; null where there is one */
export function libraryFacts(
  name: string,
  open: () => Promise<Library>,
  missing: string | null = null,
): void {
  let library: Library;
  beforeAll(async () => {
    if (missing === null) library = await open();
  });
  beforeEach(({ skip }) => {
    if (missing !== null) skip(missing);
  });
  afterAll(async () => library?.close());

  /** A store of its own for each test. */
  const newStore = () => ({ project: 'p', storeId: `vs_${randomUUID()}` });
  const search = async (
    store: { project: string; storeId: string },
    text: string,
    more: Partial<LibrarySearch> = {},
  ): Promise<readonly FoundChunk[]> =>
    library.search({
      project: store.project,
      storeIds: [store.storeId],
      queries: [{ text, vector: null }],
      space: null,
      filter: null,
      limit: 20,
      minScore: 0,
      ...more,
    });
  const filesOf = (found: readonly FoundChunk[]): readonly string[] => found.map(({ fileId }) => fileId);

  describe(`a library in ${name}`, () => {
    test('finds chunks by their words, and says where they lie', async () => {
      const store = newStore();
      await put(library, { ...store, fileId: 'file-a' }, ['The moon is far.', 'Refunds take thirty days.']);
      await put(library, { ...store, fileId: 'file-b' }, ['Nothing about money here.']);
      const found = await search(store, 'How long does it take until I get my refunds?');
      const { storeId } = store;
      expect(found).toEqual([
        { storeId, fileId: 'file-a', position: 1, text: 'Refunds take thirty days.', score: 1 },
      ]);
    });

    test('has the better chunk first, and scores from 0 to 1', async () => {
      const store = newStore();
      const texts = ['apples and pears', 'apples', 'pears and apples and plums', 'plums'];
      await put(library, { ...store, fileId: 'file-a' }, texts);
      const found = await search(store, 'plums pears apples');
      expect(found[0]?.text).toBe('pears and apples and plums');
      expect(found).toHaveLength(4);
      for (const { score } of found) expect(score > 0 && score <= 1).toBe(true);
      expect(found.map(({ score }) => score)).toEqual(
        found.map(({ score }) => score).toSorted((a, b) => b - a),
      );
      expect(await search(store, 'plums pears apples', { limit: 2 })).toEqual(found.slice(0, 2));
      const { score = 0 } = found[1] ?? {};
      expect(await search(store, 'plums pears apples', { minScore: score })).toEqual(found.slice(0, 2));
    });

    test('finds words of languages that have no spaces, and words with accents without them', async () => {
      const store = newStore();
      await put(library, { ...store, fileId: 'zh' }, [
        '本店支持七天无理由退款,请保留发票。',
        '今天天气很好。',
      ]);
      await put(library, { ...store, fileId: 'ja' }, ['東京の天気は晴れです。']);
      await put(library, { ...store, fileId: 'th' }, ['ฉันรักประเทศไทย']);
      await put(library, { ...store, fileId: 'fr' }, ['Une crème brûlée, s’il vous plaît.']);
      expect(filesOf(await search(store, '怎么退款'))).toEqual(['zh']);
      expect(filesOf(await search(store, '東京'))).toEqual(['ja']);
      expect(filesOf(await search(store, 'ประเทศไทย'))).toEqual(['th']);
      expect(filesOf(await search(store, 'creme brulee'))).toEqual(['fr']);
    });

    test('asks words that say nothing only where there are no others', async () => {
      const store = newStore();
      await put(library, { ...store, fileId: 'file-a' }, ['what is the', 'a needle']);
      expect((await search(store, 'what is the needle')).map(({ text }) => text)).toEqual(['a needle']);
      expect((await search(store, 'what is the')).map(({ text }) => text)).toEqual(['what is the']);
      expect(await search(store, '')).toEqual([]);
      expect(await search(store, '?! …')).toEqual([]);
    });

    test.each([
      '"',
      '"needle',
      'needle*',
      'NEAR(needle hay, 3)',
      'needle AND',
      'needle OR OR hay',
      'NOT needle',
      'words:needle',
      '{store} : needle',
      '^needle',
      '-needle',
      "needle'; DROP TABLE files; --",
      'needle & | ! <-> :*',
      'needle \\ %_ $1 ?1 :a @b',
      'needle\u0000hay',
      'needle \uD800',
      '((((needle',
    ])('takes the question %j as words', async (text) => {
      const store = newStore();
      await put(library, { ...store, fileId: 'file-a' }, ['a needle in it', 'other things']);
      const found = await search(store, text);
      expect(filesOf(found)).toEqual(text === '"' ? [] : ['file-a']);
    });

    test('finds the nearest by meaning', async () => {
      const store = newStore();
      const vectors = [
        [1, 0, 0],
        [0, 2, 0],
        [0, 1, 1],
      ];
      await put(library, { ...store, fileId: 'file-a' }, ['x', 'y', 'z'], { space: 'm/3', vectors });
      const queries = [{ text: '', vector: Float32Array.from([0, 10, 1]) }];
      const found = await search(store, '', { queries, space: 'm/3' });
      expect(found.map(({ text }) => text)).toEqual(['y', 'z', 'x']);
      expect(found[0]?.score).toBeCloseTo(1);
    });

    test('puts meaning before words, and both before one', async () => {
      const store = newStore();
      const near = Array.from({ length: 30 }, (_, index) => ({
        text: `near ${index}`,
        vector: [1, 0.1 + index / 100],
      }));
      const chunks = [
        { text: 'by word', vector: [0, 1] },
        ...near,
        { text: 'word, and meant', vector: [1, 0.05] },
        { text: 'meant', vector: [1, 0] },
      ];
      const written = { space: 'm', vectors: chunks.map(({ vector }) => vector) };
      await put(
        library,
        { ...store, fileId: 'a' },
        chunks.map(({ text }) => text),
        written,
      );
      const queries = [{ text: 'word', vector: Float32Array.from([1, 0]) }];
      const found = (await search(store, '', { queries, space: 'm', limit: 50 })).map(({ text }) => text);
      expect(found.slice(0, 3)).toEqual(['word, and meant', 'meant', 'near 0']);
      expect(found.indexOf('by word')).toBeGreaterThan(2);
      expect(found.indexOf('by word')).toBeLessThan(20);
    });

    test('asks several questions at once, and each counts by itself', async () => {
      const store = newStore();
      await put(library, { ...store, fileId: 'file-a' }, ['alpha', 'beta', 'gamma']);
      const queries = ['alpha', 'gamma'].map((text) => ({ text, vector: null }));
      const found = await search(store, '', { queries });
      expect(found.map(({ text }) => text)).toEqual(['alpha', 'gamma']);
      expect(found.map(({ score }) => score)).toEqual([1, 1]);
    });

    test('does not compare vectors of different models, and finds those chunks by words', async () => {
      const store = newStore();
      await put(library, { ...store, fileId: 'old' }, ['one word'], { space: 'old', vectors: [[1, 0]] });
      await put(library, { ...store, fileId: 'new' }, ['another'], { space: 'new', vectors: [[1, 0]] });
      await put(library, { ...store, fileId: 'none' }, ['word']);
      const queries = [{ text: 'word', vector: Float32Array.from([1, 0]) }];
      const found = await search(store, '', { queries, space: 'new' });
      expect(filesOf(found).toSorted()).toEqual(['new', 'none', 'old']);
    });

    test('names the files whose vectors are of another model, piece by piece', async () => {
      const store = newStore();
      const before = await library.outside('new', 0, 1_000);
      await put(library, { ...store, fileId: 'old' }, ['one'], { space: 'old', vectors: [[1, 0]] });
      await put(library, { ...store, fileId: 'new' }, ['two'], { space: 'new', vectors: [[1, 0]] });
      await put(library, { ...store, fileId: 'none' }, ['three']);
      const { total, files } = await library.outside('new', before.files.at(-1)?.row ?? 0, 1_000);
      expect(total).toBe(before.total + 2);
      expect(files).toMatchObject([
        { ...store, fileId: 'old' },
        { ...store, fileId: 'none' },
      ]);
      const rest = await library.outside('new', files[0]?.row ?? 0, 1);
      expect(rest.files).toEqual([files[1]]);
    });

    test('lists the files of a store that can be found', async () => {
      const store = newStore();
      for (const fileId of ['b', 'C', 'a']) await put(library, { ...store, fileId }, ['word']);
      await put(library, { ...newStore(), fileId: 'd' }, ['word']);
      await library.removeFile({ ...store, fileId: 'b' });
      await library.write({ ...store, fileId: 'e', attributes: {}, space: null });
      expect(await library.fileIds(store, '', 10)).toEqual(['C', 'a']);
      expect(await library.fileIds(store, 'C', 10)).toEqual(['a']);
      expect(await library.fileIds(store, '', 1)).toEqual(['C']);
    });

    test('keeps its name', async () => {
      const name = await library.name();
      expect(name).toMatch(/^[\da-f-]{24,36}$/);
      const again = await open();
      onTestFinished(async () => again.close());
      expect(await again.name()).toBe(name);
    });

    test('refuses vectors that do not fit their chunks', async () => {
      const store = newStore();
      const write = await library.write({ ...store, fileId: 'a', attributes: {}, space: 's' });
      const chunks = [chunkOf('a'), chunkOf('b')];
      await expect(write.add(chunks, [Float32Array.of(1)])).rejects.toThrow(RangeError);
      await expect(write.add(chunks, [Float32Array.of(1), Float32Array.of(1, 2)])).rejects.toThrow(
        RangeError,
      );
      await write.add(chunks, [Float32Array.of(1), Float32Array.of(2)]);
      await expect(write.add([chunkOf('c')], [Float32Array.of(1, 2)])).rejects.toThrow(RangeError);
      expect((await write.commit()).chunks).toBe(2);
    });

    test('keeps projects, stores and files apart', async () => {
      const store = newStore();
      const other = newStore();
      const foreign = { ...store, project: 'q' };
      await put(library, { ...store, fileId: 'a' }, ['word of a']);
      await put(library, { ...other, fileId: 'b' }, ['word of b']);
      await put(library, { ...foreign, fileId: 'c' }, ['word of c']);
      expect(filesOf(await search(store, 'word'))).toEqual(['a']);
      expect(filesOf(await search(foreign, 'word'))).toEqual(['c']);
      const both = await search(store, 'word', { storeIds: [store.storeId, other.storeId, 'vs_unknown'] });
      expect(filesOf(both).toSorted()).toEqual(['a', 'b']);
      expect(await search(store, 'word', { storeIds: [] })).toEqual([]);
      await library.removeStore(foreign);
      expect(filesOf(await search(store, 'word'))).toEqual(['a']);
    });

    test('finds what lies in two of the stores once', async () => {
      const store = newStore();
      const other = newStore();
      for (const one of [store, other]) await put(library, { ...one, fileId: 'a' }, ['twice the word']);
      expect(await search(store, 'word', { storeIds: [store.storeId, other.storeId] })).toHaveLength(1);
    });

    test('prefers other chunks to those that say half of a found one again', async () => {
      const store = newStore();
      const parts = ['alpha '.repeat(20), 'beta '.repeat(20), 'gamma '.repeat(20), 'delta '.repeat(20)];
      const overlapping = [0, 1, 2].map((index) => `${parts[index] ?? ''}word ${parts[index + 1] ?? ''}`);
      await put(library, { ...store, fileId: 'long' }, overlapping);
      await put(library, { ...store, fileId: 'other' }, [`word ${'epsilon '.repeat(200)}`]);
      const two = await search(store, 'word', { limit: 3 });
      expect(filesOf(two).toSorted()).toEqual(['long', 'long', 'other']);
      expect(await search(store, 'word')).toHaveLength(4);
      const scores = two.map(({ score }) => score);
      expect(scores).toEqual(scores.toSorted((a, b) => b - a));
      await put(library, { ...store, fileId: 'apart' }, ['word one', 'word two', 'word three']);
      expect(await search(store, 'word one two three', { limit: 3 })).toHaveLength(3);
    });

    test('replaces a file, and shows the old one until the new one is whole', async () => {
      const store = newStore();
      const place = { ...store, fileId: 'a' };
      await put(library, place, ['old word', 'older word']);
      const write = await library.write({ ...place, attributes: {}, space: null });
      await write.add([chunkOf('new word')], null);
      expect((await search(store, 'word')).map(({ text }) => text).toSorted()).toEqual([
        'old word',
        'older word',
      ]);
      await write.add([chunkOf('newer word')], null);
      expect(await write.commit()).toEqual({ chunks: 2, bytes: 18 });
      expect(await library.texts(place, 0, 10)).toEqual(['new word', 'newer word']);
      expect((await search(store, 'word')).map(({ text }) => text).toSorted()).toEqual([
        'new word',
        'newer word',
      ]);
      expect(await library.holding(store)).toEqual({ files: 1, chunks: 2, bytes: 18 });
      await write.abort();
      expect(await library.holding(store)).toEqual({ files: 1, chunks: 2, bytes: 18 });
    });

    test('lets a file be written by who began last, and not after it was removed', async () => {
      const store = newStore();
      const card = { ...store, fileId: 'a', attributes: {}, space: null };
      const first = await library.write(card);
      await first.add([chunkOf('first')], null);
      const second = await library.write(card);
      await expect(first.add([chunkOf('more')], null)).rejects.toThrow(Superseded);
      await expect(first.commit()).rejects.toThrow(Superseded);
      await second.add([chunkOf('second')], null);
      await second.commit();
      expect(await library.texts(card, 0, 10)).toEqual(['second']);
      const third = await library.write(card);
      await library.removeFile(card);
      await expect(third.commit()).rejects.toThrow(Superseded);
      expect(await library.holding(store)).toEqual({ files: 0, chunks: 0, bytes: 0 });
      const fourth = await library.write(card);
      await fourth.abort();
      await expect(fourth.commit()).rejects.toThrow(Superseded);
    });

    test('counts the bytes of texts and vectors', async () => {
      const store = newStore();
      await put(library, { ...store, fileId: 'a' }, ['é', 'ab'], {
        space: 's',
        vectors: [
          [1, 2, 3],
          [4, 5, 6],
        ],
      });
      expect(await library.holding(store)).toEqual({ files: 1, chunks: 2, bytes: 4 + 2 * 3 * 4 });
      expect(await library.holding(newStore())).toEqual({ files: 0, chunks: 0, bytes: 0 });
    });

    test('forgets files and stores', async () => {
      const store = newStore();
      const other = newStore();
      for (const one of [store, other]) {
        for (const fileId of ['a', 'b', 'c']) await put(library, { ...one, fileId }, [`word of ${fileId}`]);
      }
      const both = { storeIds: [store.storeId, other.storeId] };
      await library.removeFile({ ...store, fileId: 'a' });
      await library.removeFile({ ...store, fileId: 'unknown' });
      expect(filesOf(await search(store, 'word')).toSorted()).toEqual(['b', 'c']);
      await library.removeFileEverywhere('q', 'b');
      await library.removeFileEverywhere('p', 'b');
      expect(filesOf(await search(store, 'word', both)).toSorted()).toEqual(['a', 'c']);
      await library.removeStore(other);
      expect(filesOf(await search(store, 'word', both))).toEqual(['c']);
      expect(await library.texts({ ...other, fileId: 'a' }, 0, 10)).toEqual([]);
      await library.tidy();
      expect(await library.holding(store)).toMatchObject({ files: 1, chunks: 1 });
    });

    test('gives the texts of a file by pages, in order', async () => {
      const place = { ...newStore(), fileId: 'a' };
      const write = await library.write({ ...place, attributes: {}, space: null });
      for (const group of [0, 1, 2])
        await write.add(
          Array.from({ length: 50 }, (_, index) => chunkOf(`chunk ${group * 50 + index}`)),
          null,
        );
      expect(await library.texts(place, 0, 200)).toEqual([]);
      await write.commit();
      const texts = Array.from({ length: 150 }, (_, index) => `chunk ${index}`);
      expect(await library.texts(place, 0, 200)).toEqual(texts);
      expect(await library.texts(place, 99, 3)).toEqual(texts.slice(99, 102));
      expect(await library.texts(place, 150, 3)).toEqual([]);
    });

    test('removes files of many chunks', async () => {
      const place = { ...newStore(), fileId: 'a' };
      const write = await library.write({ ...place, attributes: {}, space: null });
      for (let group = 0; group < 20; group += 1)
        await write.add(
          Array.from({ length: 64 }, (_, index) => chunkOf(`word ${group} ${index}`)),
          null,
        );
      await write.commit();
      await library.removeStore(place);
      expect(await search(place, 'word')).toEqual([]);
      expect(await library.holding(place)).toEqual({ files: 0, chunks: 0, bytes: 0 });
    });
  });

  describe(`filters of a library in ${name}`, () => {
    const store = newStore();
    const files: Readonly<Record<string, FileAttributes>> = {
      red: { color: 'red', size: 1, rare: true },
      green: { color: 'green', size: 2.5, rare: false },
      blue: { color: 'blue', size: -3 },
      bare: {},
      odd: { color: 7, size: '2', rare: 'true', 'a"b\'c$.[0]': 'quoted', "'; DROP TABLE files; --": 1 },
    };
    beforeAll(async () => {
      if (missing !== null) return;
      for (const [fileId, attributes] of Object.entries(files))
        await put(library, { ...store, fileId }, ['word'], { attributes, space: 's', vectors: [[1, 0]] });
    });

    const cases: readonly (readonly [AttributeFilter, readonly string[]])[] = [
      [{ type: 'eq', key: 'color', value: 'red' }, ['red']],
      [{ type: 'eq', key: 'color', value: 'RED' }, []],
      [{ type: 'eq', key: 'color', value: 7 }, ['odd']],
      [{ type: 'eq', key: 'color', value: '7' }, []],
      [{ type: 'eq', key: 'rare', value: true }, ['red']],
      [{ type: 'eq', key: 'rare', value: 1 }, []],
      [{ type: 'eq', key: 'size', value: 2.5 }, ['green']],
      [{ type: 'ne', key: 'color', value: 'red' }, ['bare', 'blue', 'green', 'odd']],
      [{ type: 'gt', key: 'size', value: 1 }, ['green']],
      [{ type: 'gte', key: 'size', value: 1 }, ['green', 'red']],
      [{ type: 'lt', key: 'size', value: 1 }, ['blue']],
      [{ type: 'lte', key: 'size', value: 1 }, ['blue', 'red']],
      [{ type: 'gt', key: 'color', value: 'blue' }, ['green', 'red']],
      [{ type: 'lt', key: 'color', value: 'a' }, []],
      [{ type: 'lt', key: 'color', value: 'Z' }, []],
      [{ type: 'in', key: 'color', value: ['red', 7, true] }, ['odd', 'red']],
      [{ type: 'in', key: 'color', value: [] }, []],
      [{ type: 'nin', key: 'color', value: ['red', 'green'] }, ['bare', 'blue', 'odd']],
      [{ type: 'nin', key: 'color', value: [] }, ['bare', 'blue', 'green', 'odd', 'red']],
      [{ type: 'and', filters: [] }, ['bare', 'blue', 'green', 'odd', 'red']],
      [{ type: 'or', filters: [] }, []],
      [
        {
          type: 'and',
          filters: [
            { type: 'gt', key: 'size', value: 0 },
            {
              type: 'or',
              filters: [
                { type: 'eq', key: 'color', value: 'green' },
                { type: 'eq', key: 'rare', value: true },
              ],
            },
            { type: 'ne', key: 'color', value: 'red' },
          ],
        },
        ['green'],
      ],
      [{ type: 'eq', key: 'a"b\'c$.[0]', value: 'quoted' }, ['odd']],
      [{ type: 'eq', key: "'; DROP TABLE files; --", value: 1 }, ['odd']],
      [{ type: 'eq', key: 'color', value: "red' OR 1 = 1 --" }, []],
      [{ type: 'eq', key: "color' OR 1 = 1 --", value: 'red' }, []],
      [{ type: 'in', key: 'color', value: ["red') OR 1 = 1 --"] }, []],
      [{ type: 'eq', key: 'co\u0000lor', value: 'r\u0000ed' }, []],
      [{ type: 'eq', key: '?1', value: '$1' }, []],
      [{ type: 'gt', key: 'size', value: 1e300 }, []],
    ];
    test.each(cases)('%j', async (filter, expected) => {
      expect(filesOf(await search(store, 'word', { filter })).toSorted()).toEqual(expected);
      const queries = [{ text: '', vector: Float32Array.of(1, 0) }];
      const meant = await search(store, '', { filter, queries, space: 's' });
      expect(filesOf(meant).toSorted()).toEqual(expected);
    });

    test('refuse what is too large', async () => {
      const one: AttributeFilter = { type: 'eq', key: 'color', value: 'red' };
      let deep: AttributeFilter = one;
      for (let depth = 0; depth < 20; depth += 1) deep = { type: 'and', filters: [deep] };
      const wide: AttributeFilter = { type: 'or', filters: Array.from({ length: 5_000 }, () => one) };
      const long: AttributeFilter = {
        type: 'in',
        key: 'color',
        value: Array.from({ length: 50_000 }, String),
      };
      for (const filter of [deep, wide, long])
        await expect(search(store, 'word', { filter })).rejects.toThrow(RangeError);
    });

    test('see attributes that were changed', async () => {
      const own = newStore();
      const place = { ...own, fileId: 'a' };
      await put(library, place, ['word'], { attributes: { color: 'red', size: 1 } });
      await library.setAttributes(place, { color: 'blue' });
      await library.setAttributes({ ...place, fileId: 'unknown' }, { color: 'blue' });
      const isFound = async (key: string, value: string | number): Promise<boolean> =>
        (await search(own, 'word', { filter: { type: 'eq', key, value } })).length === 1;
      expect(await isFound('color', 'blue')).toBe(true);
      expect(await isFound('color', 'red')).toBe(false);
      expect(await isFound('size', 1)).toBe(false);
    });
  });
}

/**
 * What a library finds, and how fast: `npm run bench:library -- --docs FOLDER`. The folder holds documentation as HTML or
 * Markdown. Sections whose heading is a question become files of their own without the heading, and the question has to find
 * them among everything else. Or it holds documents of any kind and a `questions.json` that says which file answers which
 * question, as bench/documents.py makes it: these are read as a worker reads them. Then searches are timed in libraries of 1,000 and 50,000 chunks, in words alone and with
 * vectors. Options: `--postgres URL` (an empty database with pgvector), `--dimensions 256`, `--chunks 1000,50000`,
 * `--embeddings BASE_URL --model NAME` (a model server, to measure what meaning finds; bench/embeddings.py is one).
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { z } from 'zod';
import { chunksOf } from '../src/documents/chunks.ts';
import { textOfFile } from '../src/documents/read-text.ts';
import type { Library, LibrarySearch } from '../src/library/library.ts';
import { openLibrary } from '../src/library/open.ts';
import { UpstreamEmbedder } from '../src/model/embeddings.ts';
import type { Embedder } from '../src/runs/embedder.ts';
import { AUTO_CHUNKING, type ChunkText } from '../src/runs/vector-store.ts';
import { textOf } from '../src/tools/web/text.ts';

const { values: options } = parseArgs({
  options: {
    docs: { type: 'string', default: 'node_modules' },
    postgres: { type: 'string' },
    dimensions: { type: 'string', default: '256' },
    chunks: { type: 'string', default: '1000,50000' },
    embeddings: { type: 'string' },
    model: { type: 'string', default: '' },
  },
});

const QUESTIONS = 'questions.json';
const MAX_FILES = 3_000;
const GROUP = 64;
const SEARCHES = 200;
const LIMIT = 20;
/** Shorter answers say too little to be found. */
const MIN_ANSWER = 200;
const STORE = { project: 'bench', storeId: 'docs' };
const never = new AbortController().signal;

interface Document {
  readonly id: string;
  readonly text: string;
}

/** A question, and the document that answers it. */
interface Question {
  readonly question: string;
  readonly id: string;
}

interface Material {
  readonly documents: readonly Document[];
  readonly questions: readonly Question[];
}

const questionsSchema = z.array(z.object({ question: z.string(), file: z.string() }));

/** Documents that are read as a worker reads them. */
async function readFiles(folder: string): Promise<Material> {
  const told: unknown = JSON.parse(readFileSync(join(folder, QUESTIONS), 'utf8'));
  const names = readdirSync(folder).filter((name) => name !== QUESTIONS);
  const documents: Document[] = [];
  for (const id of names.toSorted()) documents.push({ id, text: await textOfFile(join(folder, id), id) });
  const questions = questionsSchema.parse(told).map(({ question, file: id }) => ({ question, id }));
  return { documents, questions };
}

/** The pages of a folder, and the questions that were taken out of them. */
function readDocs(folder: string): Material {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(?:html?|md)$/i.test(name))
    .toSorted()
    .slice(0, MAX_FILES);
  const pages: Document[] = [];
  const answers: Document[] = [];
  const questions: Question[] = [];
  for (const name of names) {
    const isHtml = !name.toLowerCase().endsWith('.md');
    const heading = isHtml ? /(?=<h[1-4][\s>])/i : /(?=^#{1,4} )/m;
    const plain = (text: string): string => (isHtml ? textOf(text) : text).trim();
    const rest = readFileSync(join(folder, name), 'utf8')
      .split(heading)
      .filter((section) => {
        const [head = ''] = (isHtml ? /^<h[1-4][^]*?<\/h[1-4]>/i : /^#{1,4} .*/).exec(section) ?? [];
        const question = plain(head).replace(/^#+ /, '').replace(/¶$/, '').trim();
        const answer = plain(section.slice(head.length));
        const isQuestion = question.endsWith('?') && answer.length >= MIN_ANSWER;
        if (isQuestion) {
          const id = `question-${questions.length}`;
          questions.push({ question, id });
          answers.push({ id, text: answer });
        }
        return !isQuestion;
      });
    pages.push({ id: `page-${pages.length}`, text: plain(rest.join('\n')) });
  }
  return { documents: [...answers, ...pages], questions };
}

async function put(
  library: Library,
  fileId: string,
  chunks: readonly ChunkText[],
  space: string | null,
  vectorsOf: (chunks: readonly ChunkText[]) => Promise<readonly Float32Array[] | null>,
): Promise<void> {
  const write = await library.write({ ...STORE, fileId, attributes: {}, space });
  for (let start = 0; start < chunks.length; start += GROUP) {
    const group = chunks.slice(start, start + GROUP);
    await write.add(group, await vectorsOf(group));
  }
  await write.commit();
}

const searchFor = (text: string, space: string | null, vector: Float32Array | null): LibrarySearch => ({
  project: STORE.project,
  storeIds: [STORE.storeId],
  queries: [{ text, vector }],
  space,
  filter: null,
  limit: LIMIT,
  minScore: 0,
});

/** How many of the questions find their answer, among the first so many results. */
async function measureRecall(library: Library, questions: readonly Question[], embedder: Embedder | null) {
  const ranks: number[] = [];
  for (const { question, id } of questions) {
    const [vector = null] = embedder === null ? [] : await embedder.embed([question], never);
    const found = await library.search(searchFor(question, embedder?.space ?? null, vector));
    ranks.push(found.findIndex(({ fileId }) => fileId === id));
  }
  const share = (most: number): string =>
    (ranks.filter((rank) => rank >= 0 && rank < most).length / ranks.length).toFixed(3);
  const mrr =
    ranks.reduce((sum, rank) => sum + (rank >= 0 && rank < 10 ? 1 / (rank + 1) : 0), 0) / ranks.length;
  return {
    questions: ranks.length,
    'MRR@10': mrr.toFixed(3),
    'R@1': share(1),
    'R@5': share(5),
    'R@20': share(20),
  };
}

/** Vectors that lie in a space of fewer dimensions, with noise, as those of models do. */
function vectorMaker(dimensions: number): () => Float32Array {
  let seed = 42;
  const random = (): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return seed / 0x7fffffff - 0.5;
  };
  const axes = Array.from({ length: 64 }, () => Float32Array.from({ length: dimensions }, random));
  return () => {
    const vector = Float32Array.from({ length: dimensions }, () => random() * 0.5);
    for (let count = 0; count < 8; count += 1) {
      const axis = axes[Math.floor((random() + 0.5) * 63)];
      const weight = random();
      for (let index = 0; index < dimensions; index += 1)
        vector[index] = (vector[index] ?? 0) + weight * (axis?.[index] ?? 0);
    }
    return vector;
  };
}

async function measureSpeed(
  library: Library,
  chunks: readonly ChunkText[],
  questions: readonly Question[],
  count: number,
) {
  const dimensions = Number(options.dimensions);
  const next = vectorMaker(dimensions);
  const begunMs = performance.now();
  for (let from = 0; from < count; from += 1_000) {
    const file = Array.from({ length: Math.min(1_000, count - from) }, (_, index) => {
      const { text, words } = chunks[(from + index) % chunks.length] ?? { text: '' };
      return { text: `${text} #${from + index}`, ...(words !== undefined && { words }) };
    });
    await put(library, `file-${from}`, file, 'bench', async (group) => group.map(next));
  }
  const builtS = (performance.now() - begunMs) / 1_000;
  const timed = async (space: string | null): Promise<string> => {
    const tookMs: number[] = [];
    for (let index = 0; index < SEARCHES; index += 1) {
      const { question = '' } = questions[index % questions.length] ?? {};
      const search = searchFor(question, space, space === null ? null : next());
      const sinceMs = performance.now();
      await library.search(search);
      tookMs.push(performance.now() - sinceMs);
    }
    const sorted = tookMs.toSorted((a, b) => a - b);
    const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(1);
    return `${at(0.5)} / ${at(0.99)}`;
  };
  return {
    chunks: count,
    'build s': builtS.toFixed(1),
    'words p50 / p99 ms': await timed(null),
    'both p50 / p99 ms': await timed('bench'),
  };
}

const folder = mkdtempSync(join(tmpdir(), 'longrun-bench-library-'));
const embedder =
  options.embeddings === undefined
    ? null
    : new UpstreamEmbedder({
        upstreams: [
          {
            name: 'bench',
            baseUrl: options.embeddings,
            models: [],
            aliases: {},
            visionModels: {},
            thinkTags: 'off',
          },
        ],
        model: options.model,
        dimensions: null,
        limits: { idleMs: 600_000, stallMs: 600_000, thinkMs: 600_000, totalMs: 600_000 },
        retries: 2,
        waitMs: 10_000,
        log: pino({ level: 'warn' }),
      });
const urls = { SQLite: '', ...(options.postgres !== undefined && { PostgreSQL: options.postgres }) };
try {
  const isMade = existsSync(join(options.docs, QUESTIONS));
  const { documents, questions } = isMade ? await readFiles(options.docs) : readDocs(options.docs);
  const cut = (text: string): readonly ChunkText[] => Array.from(chunksOf(text, AUTO_CHUNKING.static));
  const files = documents.map(({ id, text }) => ({ id, chunks: cut(text) }));
  const chunks = files.flatMap((file) => file.chunks);
  console.log(`${documents.length} documents, ${questions.length} questions, ${chunks.length} chunks`);
  // Each text once: engines differ in how they find, not in what a model makes of a text.
  const vectors = new Map<string, Float32Array>();
  const embed = async (group: readonly ChunkText[]): Promise<readonly Float32Array[] | null> => {
    if (embedder === null) return null;
    const texts = group.map(({ text }) => text);
    const unknown = texts.filter((text) => !vectors.has(text));
    const made = await embedder.embed(unknown, never);
    unknown.forEach((text, index) => vectors.set(text, made[index] ?? new Float32Array()));
    return texts.map((text) => vectors.get(text) ?? new Float32Array());
  };
  for (const [name, url] of Object.entries(urls)) {
    const open = async (use: string): Promise<Library> => openLibrary(url || join(folder, `${use}.sqlite`));
    const library = await open('docs');
    await library.removeStore(STORE);
    const sinceMs = performance.now();
    for (const { id, chunks: own } of files) await put(library, id, own, embedder?.space ?? null, embed);
    const builtS = ((performance.now() - sinceMs) / 1_000).toFixed(1);
    const words = await measureRecall(library, questions, null);
    const both =
      embedder === null ? {} : { 'with meaning': await measureRecall(library, questions, embedder) };
    console.log(`${name}: indexed in ${builtS} s`);
    console.table({ words, ...both });
    await library.removeStore(STORE);
    await library.close();
    const rows = [];
    for (const count of options.chunks.split(',').map(Number)) {
      const timed = await open(`timed-${count}`);
      rows.push(await measureSpeed(timed, chunks, questions, count));
      if (url !== '') await timed.removeStore(STORE);
      await timed.close();
    }
    console.table(rows);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

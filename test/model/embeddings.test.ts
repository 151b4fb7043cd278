/** Embeddings of a model server: what it is asked, how often, and what is made of what it says. */
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { UpstreamEmbedder, type EmbedderOptions } from '../../src/model/embeddings.ts';
import { ModelError } from '../../src/runs/model.ts';
import { OtherEndpoints } from '../support/endpoints.ts';
import { upstreamAt } from './upstream.ts';

const server = new OtherEndpoints();
beforeAll(async () => server.listen());
afterAll(async () => server.stop());
const never = new AbortController().signal;
const LIMITS = { idleMs: 60_000, stallMs: 60_000, thinkMs: 60_000, totalMs: 60_000 };

function embedder(more: Partial<EmbedderOptions> = {}): UpstreamEmbedder {
  return new UpstreamEmbedder({
    upstreams: [upstreamAt(server.baseUrl, { apiKey: 'the-key', aliases: { meaning: 'real-name' } })],
    model: 'meaning',
    dimensions: null,
    limits: LIMITS,
    retries: 2,
    waitMs: 1_000,
    log: pino({ level: 'silent' }),
    backoffMs: 1,
    ...more,
  });
}

const inputSchema = z.looseObject({ input: z.array(z.string()) });
type Input = z.infer<typeof inputSchema>;
const inputOf = (body: Buffer): Input => inputSchema.parse(JSON.parse(body.toString()));
const answerTo = ({ input }: Input) => ({
  object: 'list',
  // In another order than asked.
  data: input.map((text, index) => ({ index, embedding: [text.length, index] })).toReversed(),
});
const failing = (statuses: readonly number[], body: object = { error: { message: 'no' } }) => {
  let count = 0;
  server.reply((response, _request, received) => {
    const status = statuses[count] ?? 200;
    count += 1;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(status === 200 ? answerTo(inputOf(received.body)) : body));
  });
  return () => count;
};

describe('embeddings', () => {
  test('are asked for in groups, by the name that the server knows, and come in order', async () => {
    failing([]);
    server.received.length = 0;
    const texts = Array.from({ length: 150 }, (_, index) => 'x'.repeat(index + 1));
    const vectors = await embedder().embed(texts, never);
    expect(vectors.map(([length]) => length)).toEqual(texts.map(({ length }) => length));
    expect(server.received.map(({ body }) => inputOf(body).input.length)).toEqual([64, 64, 22]);
    const { path, headers, body } = server.last;
    expect(path).toBe('/v1/embeddings');
    expect(headers.authorization).toBe('Bearer the-key');
    expect(inputOf(body)).toEqual({ model: 'real-name', encoding_format: 'float', input: texts.slice(128) });
    expect(await embedder().embed([], never)).toEqual([]);
  });

  test('may have fewer dimensions, which are a space of their own', async () => {
    failing([]);
    await embedder({ dimensions: 2 }).embed(['a'], never);
    expect(inputOf(server.last.body)).toMatchObject({ dimensions: 2 });
    expect(embedder({ dimensions: 2 }).space).toBe('meaning/2');
    expect(embedder().space).toBe('meaning');
    await expect(embedder({ dimensions: 3 }).embed(['a'], never)).rejects.toThrow(
      /3 numbers, as EMBEDDING_DIMENSIONS says, but of 2/,
    );
  });

  test('are asked for again where that may help', async () => {
    const count = failing([503, 429]);
    expect(await embedder().embed(['abc'], never)).toEqual([Float32Array.of(3, 0)]);
    expect(count()).toBe(3);
  });

  test('are given up after some tries, and at once where none may help', async () => {
    const tries = failing([500, 500, 500, 500]);
    await expect(embedder().embed(['abc'], never)).rejects.toThrow(ModelError);
    expect(tries()).toBe(3);
    const refused = failing([401, 401]);
    await expect(embedder().embed(['abc'], never)).rejects.toThrow(/refused its key \(401\)/);
    expect(refused()).toBe(1);
  });

  test('of texts that are longer than the model takes are those of their beginnings', async () => {
    server.reply((response, _request, { body }) => {
      const asked = inputOf(body);
      const isLong = asked.input.some((text) => text.split(' ').length > 300);
      response.writeHead(isLong ? 400 : 200, { 'content-type': 'application/json' });
      const message =
        "This model's maximum context length is 300 tokens. However, you requested 2000 tokens.";
      response.end(
        JSON.stringify(isLong ? { error: { message, code: 'context_length_exceeded' } } : answerTo(asked)),
      );
    });
    const [long, short] = await embedder().embed(['word '.repeat(2_000), 'short'], never);
    expect(long?.[0]).toBeLessThan(1_600);
    expect(long?.[0]).toBeGreaterThan(1_000);
    expect(short?.[0]).toBe(5);
  });

  test.each([
    ['nothing', {}],
    ['too few', { data: [{ index: 0, embedding: [1] }] }],
    [
      'the same twice',
      {
        data: [
          { index: 0, embedding: [1] },
          { index: 0, embedding: [1] },
        ],
      },
    ],
    [
      'texts',
      {
        data: [
          { index: 0, embedding: 'AAAA' },
          { index: 1, embedding: 'AAAA' },
        ],
      },
    ],
    [
      'no numbers',
      {
        data: [
          { index: 0, embedding: [null] },
          { index: 1, embedding: [1] },
        ],
      },
    ],
    [
      'several lengths',
      {
        data: [
          { index: 0, embedding: [1, 2] },
          { index: 1, embedding: [1] },
        ],
      },
    ],
  ])('are not taken from an answer with %s', async (_name, body) => {
    server.reply((response) => response.end(JSON.stringify(body)));
    await expect(embedder({ retries: 0 }).embed(['a', 'b'], never)).rejects.toThrow(
      /sent something that is not/,
    );
  });

  test('are waited for within the limits of the server, and no longer than anybody wants them', async () => {
    server.reply(() => {});
    await expect(embedder({ limits: { ...LIMITS, idleMs: 50 } }).embed(['a'], never)).rejects.toThrow(
      /sent nothing for 0.05 s/,
    );
    const gone = new AbortController();
    const asking = embedder().embed(['a'], gone.signal);
    gone.abort(new Error('cancelled'));
    await expect(asking).rejects.toThrow('cancelled');
  });
});

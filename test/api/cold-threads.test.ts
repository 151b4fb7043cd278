/**
 * Threads that leave Redis after a second, in a service of several processes: every answer is the same before they leave and
 * after they have come back, byte for byte. Once over SQLite and once over PostgreSQL (TEST_POSTGRES_URL; without it skipped).
 */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { lookUntil } from '../support/looks.ts';
import { metricsOf } from '../support/metrics.ts';
import { calls, says } from '../support/upstream.ts';
import { Wire, type WireRun } from '../support/wire.ts';
import { withService, type Running } from '../support/with-service.ts';

const TOOL = { type: 'function', function: { name: 'f' } };
/** Long enough to be stored once for all runs. */
const INSTRUCTIONS = 'Answer briefly, and say where you know it from. '.repeat(60);
/** A second or so. */
const COLD_AFTER_H = '0.0003';

const postgres = process.env['TEST_POSTGRES_URL'] ?? '';
const database = `longrun_cold_${randomUUID().replaceAll('-', '')}`;
const folder = join(tmpdir(), `longrun-cold-${process.pid}-${randomUUID()}`);
const LIBRARY = join(folder, 'library.sqlite');

async function administer(text: string): Promise<void> {
  const client = new Client(postgres);
  await client.connect();
  await client.query(text);
  await client.end();
}

function databaseUrl(): string {
  const url = new URL(postgres);
  url.pathname = `/${database}`;
  return url.href;
}

/** How many rows there are. */
type CountRows = () => Promise<number>;

describe('over SQLite', () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  facts(
    withService({
      apis: 2,
      workers: 2,
      env: { THREAD_COLD_AFTER_H: COLD_AFTER_H, LIBRARY_URL: LIBRARY },
    }),
    async () => {
      const file = new DatabaseSync(join(folder, 'library-threads.sqlite'));
      const row = file.prepare('SELECT count(*) AS count FROM threads').get();
      file.close();
      return Number(row?.['count']);
    },
  );
});

describe('over PostgreSQL', () => {
  const missing = postgres === '' ? 'TEST_POSTGRES_URL names no server with pgvector' : null;
  beforeAll(async () => {
    if (missing === null) await administer(`CREATE DATABASE ${database}`);
  });
  afterAll(async () => {
    if (missing === null) await administer(`DROP DATABASE ${database} WITH (FORCE)`);
  });
  facts(
    withService(() =>
      missing === null
        ? {
            apis: 2,
            workers: 2,
            env: { THREAD_COLD_AFTER_H: COLD_AFTER_H, LIBRARY_URL: databaseUrl() },
          }
        : { apis: 0, workers: 0 },
    ),
    async () => {
      const client = new Client(databaseUrl());
      await client.connect();
      const { rows } = await client.query<{ count: string }>('SELECT count(*) FROM longrun_cold.threads');
      await client.end();
      return Number(rows[0]?.count);
    },
    missing,
  );
});

/** What is true of cold threads, whatever keeps them. @param missing what these tests need and do not have; null for nothing */
function facts(
  { upstream, service, wire }: Running,
  countRows: CountRows,
  missing: string | null = null,
): void {
  let assistant_id: string;

  beforeAll(async () => {
    if (missing !== null) return;
    const assistant = { model: 'm', tools: [TOOL], instructions: INSTRUCTIONS };
    assistant_id = (await wire.ok('POST', '/assistants', assistant)).id;
  });
  beforeEach(({ skip }) => {
    if (missing !== null) skip(missing);
    upstream.reply(({ outputs }) =>
      outputs.length > 0 ? says('It is ', outputs.join()) : calls([{ name: 'f', arguments: { n: 1 } }]),
    );
  });

  /** Until no thread is in Redis. */
  const untilCold = async (): Promise<void> => {
    await lookUntil(
      () => metricsOf(service.url),
      (figures) => figures.get('longrun_threads_cold') === figures.get('longrun_threads'),
    );
  };

  /** A thread with metadata of every kind and two runs that called a tool. */
  const talk = async (): Promise<readonly [WireRun, WireRun]> => {
    const messages = [
      { role: 'user', content: 'How is it? 你好', metadata: { n: '1' } },
      { role: 'assistant', content: 'Well.' },
    ];
    const metadata = { device: randomUUID() };
    const { id } = await wire.ok('POST', '/threads', { messages, metadata });
    const runs: WireRun[] = [];
    for (const word of ['fine', 'grand']) {
      const waiting = await wire.play(id, { assistant_id, metadata: { word } });
      runs.push(await wire.rested(await wire.submit(waiting, word)));
      await wire.ok('POST', `/threads/${id}/messages`, { role: 'user', content: `and ${word}?` });
    }
    const [first, second] = runs;
    if (first === undefined || second === undefined) throw new Error('there are two runs');
    await wire.ok('POST', `/threads/${id}/runs/${first.id}`, { metadata: { rated: 'good' } });
    const [message] = await wire.list(`/threads/${id}/messages?order=asc`);
    await wire.ok('POST', `/threads/${id}/messages/${message?.id}`, { metadata: { seen: 'yes' } });
    return [first, second];
  };

  /** Everything that can be read of a thread, by path. */
  const pathsOf = async (thread: string): Promise<readonly string[]> => {
    const base = `/threads/${thread}`;
    const paths = [base, `${base}/messages?limit=100`, `${base}/messages?order=asc&limit=2`, `${base}/runs`];
    for (const { id } of await wire.list(`${base}/messages?limit=100`)) paths.push(`${base}/messages/${id}`);
    for (const { id } of await wire.list(`${base}/runs`)) {
      const run = `${base}/runs/${id}`;
      paths.push(run, `${run}/steps?order=asc`, `${run}/events`, `${base}/messages?run_id=${id}`);
      for (const step of await wire.list(`${run}/steps`)) paths.push(`${run}/steps/${step.id}`);
    }
    return paths;
  };

  const answersTo = async (
    paths: readonly string[],
    asked: Pick<Wire, 'ask'> = wire,
  ): Promise<ReadonlyMap<string, string>> => {
    const answers = new Map<string, string>();
    for (const path of paths) {
      const { status, text } = await asked.ask('GET', path);
      answers.set(path, `${status} ${text}`);
    }
    return answers;
  };

  test('every answer is the same, byte for byte, whatever is asked first', async () => {
    const [{ thread_id: thread }] = await talk();
    const paths = await pathsOf(thread);
    expect(paths.length).toBeGreaterThan(20);
    const before = await answersTo(paths);
    expect([...before.values()].filter((text) => !text.startsWith('200 '))).toEqual([]);
    await untilCold();
    expect(await answersTo(paths)).toEqual(before);
    await untilCold();
    expect(await answersTo(paths.toReversed())).toEqual(new Map(before));
    const figures = await metricsOf(service.url);
    expect(figures.get('longrun_threads_thawed_total')).toBeGreaterThan(1);
    expect(figures.get('longrun_thread_thaw_seconds_total')).toBeGreaterThan(0);
  });

  test('lists of threads show what is cold, and leave it where it is', async () => {
    const [{ thread_id: thread }] = await talk();
    const { metadata } = await wire.ok('GET', `/threads/${thread}`);
    const { device } = z.object({ device: z.string() }).parse(metadata);
    const paths = [`/threads?metadata[device]=${device}`, '/threads?limit=1', '/threads?limit=100&order=asc'];
    const before = await answersTo(paths);
    await untilCold();
    const thawed = (await metricsOf(service.url)).get('longrun_threads_thawed_total');
    expect(await answersTo(paths)).toEqual(before);
    expect((await metricsOf(service.url)).get('longrun_threads_thawed_total')).toBe(thawed);
  });

  test('many who come at once to several processes all see the whole of it', async () => {
    const [{ thread_id: thread }] = await talk();
    const paths = await pathsOf(thread);
    const before = await answersTo(paths);
    await untilCold();
    const wires = service.origins.map((origin) => new Wire(`${origin}/v1`));
    const all = await Promise.all([...wires, ...wires, ...wires].map(async (each) => answersTo(paths, each)));
    for (const answers of all) expect(answers).toEqual(before);
  });

  test('a cold thread takes messages, metadata and runs, and remembers what was said', async () => {
    const [{ thread_id: thread }] = await talk();
    await untilCold();
    await wire.ok('POST', `/threads/${thread}/messages`, { role: 'user', content: 'once more?' });
    await untilCold();
    await wire.ok('POST', `/threads/${thread}`, { metadata: { kept: 'on' } });
    await untilCold();
    upstream.reply(() => says('Here I am'));
    const run = await wire.play(thread, { assistant_id });
    expect(run.status).toBe('completed');
    expect(JSON.stringify(upstream.requests.at(-1)?.body)).toContain('How is it? 你好');
    expect(await wire.list(`/threads/${thread}/messages?limit=100`)).toHaveLength(8);
    expect(await wire.ok('GET', `/threads/${thread}`)).toMatchObject({ metadata: { kept: 'on' } });
  });

  test('a chat finds its cold thread', async () => {
    upstream.reply(() => says('Yes'));
    const ask = async (content: string) =>
      wire.ask('POST', '/chat/completions', {
        body: { model: 'm', messages: [{ role: 'user', content }], metadata: { thread_id: 'my lamp' } },
      });
    expect((await ask('Is it on?')).status).toBe(200);
    await untilCold();
    expect((await ask('And now?')).status).toBe(200);
    expect(JSON.stringify(upstream.requests.at(-1)?.body)).toContain('Is it on?');
  });

  test('a cold thread is deleted with its row', async () => {
    const { id: thread } = await wire.ok('POST', '/threads', {});
    await untilCold();
    const rows = await countRows();
    expect((await wire.ask('DELETE', `/threads/${thread}`)).status).toBe(200);
    expect(await countRows()).toBe(rows - 1);
    expect((await wire.ask('GET', `/threads/${thread}`)).status).toBe(404);
    expect((await wire.ask('GET', `/threads/${thread}/messages`)).status).toBe(404);
  });
}

/** Rows of cold threads, in SQLite and in PostgreSQL (TEST_POSTGRES_URL names a server; without it skipped). */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { openColdRows } from '../../src/library/open.ts';
import type { ColdRow, ColdRows } from '../../src/runs/cold-row.ts';

const server = process.env['TEST_POSTGRES_URL'] ?? '';
const database = `longrun_rows_${randomUUID().replaceAll('-', '')}`;
const folder = mkdtempSync(join(tmpdir(), 'longrun-rows-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function administer(text: string): Promise<void> {
  const client = new Client(server);
  await client.connect();
  await client.query(text);
  await client.end();
}

function databaseUrl(): string {
  const url = new URL(server);
  url.pathname = `/${database}`;
  return url.href;
}

let made = 0;
function rowOf(more: Partial<ColdRow> = {}): ColdRow {
  made += 1;
  return {
    version: `v${made}-${randomUUID()}`,
    owner: 'owner',
    project: 'p',
    threadId: `thread_${made}`,
    madeMs: 1_795_000_000_000,
    document: '{"text":"你好 \\u0000"}',
    body: new Uint8Array([0, 1, 255, 39, 92]),
    ...more,
  };
}

function facts(urlOf: () => string): void {
  const open = (): ColdRows => {
    const rows = openColdRows(urlOf());
    onTestFinished(async () => rows.close());
    return rows;
  };

  test('a row is found by its version, byte for byte, by another process too', async () => {
    const [rows, others] = [open(), open()];
    const row = rowOf();
    const { project, threadId, document, body, version } = row;
    await rows.keep([row, rowOf()]);
    const found = await others.fetch(version);
    expect(found).toMatchObject({ project, threadId });
    expect([...(found?.body ?? [])]).toEqual([...body]);
    expect(await others.card(version)).toEqual({ project, threadId, document });
  });

  test('what is not there is nothing, and its removal no error', async () => {
    const rows = open();
    expect(await rows.fetch('none')).toBeNull();
    expect(await rows.card('none')).toBeNull();
    await rows.drop(['none']);
    await rows.drop([]);
    await rows.keep([]);
  });

  test('a row never changes, and is removed for good', async () => {
    const rows = open();
    const row = rowOf();
    await rows.keep([row]);
    await rows.keep([{ ...row, body: new Uint8Array([7]) }]);
    expect((await rows.fetch(row.version))?.body).toHaveLength(row.body.length);
    await rows.drop([row.version]);
    expect(await rows.fetch(row.version)).toBeNull();
  });

  test('an owner walks through its own rows that are old enough, in order', async () => {
    const rows = open();
    const owner = randomUUID();
    const own = Array.from({ length: 5 }, () => rowOf({ owner }));
    await rows.keep([...own, rowOf({ owner, madeMs: 1_795_000_000_001 }), rowOf()]);
    const untilMs = 1_795_000_000_001;
    const names = own.map(({ version, project, threadId }) => ({ version, project, threadId }));
    const sorted = names.toSorted((a, b) => (a.version < b.version ? -1 : 1));
    expect(await rows.walk(owner, '', untilMs, 3)).toEqual(sorted.slice(0, 3));
    expect(await rows.walk(owner, sorted[2]?.version ?? '', untilMs, 3)).toEqual(sorted.slice(3));
  });
}

describe('SQLite', () => {
  facts(() => join(folder, 'library.sqlite'));

  test('the file lies beside the library’s, for its owner only', async () => {
    const rows = openColdRows(join(folder, 'own', 'library.sqlite'));
    await rows.keep([rowOf()]);
    expect(statSync(join(folder, 'own', 'library-threads.sqlite')).mode & 0o777).toBe(0o600);
    await rows.close();
  });

  test('nothing is made before a row is asked for', async () => {
    const rows = openColdRows(join(folder, 'later', 'library.sqlite'));
    await rows.close();
    expect(() => statSync(join(folder, 'later'))).toThrow('ENOENT');
  });

  test('a file that is no such file, or of a later version, is refused and stays', async () => {
    const [broken, newer] = ['broken', 'newer'].map((name) => join(folder, `${name}-threads.sqlite`));
    writeFileSync(broken ?? '', 'no database. '.repeat(100));
    const file = new DatabaseSync(newer ?? '');
    file.exec('PRAGMA user_version = 99');
    file.close();
    for (const [name, why] of [
      ['broken', /cannot be opened.*nowhere else/],
      ['newer', /newer version/],
    ] as const) {
      const rows = openColdRows(join(folder, `${name}.sqlite`));
      await expect(rows.fetch('x')).rejects.toThrow(why);
      await rows.close();
    }
  });
});

describe('PostgreSQL', () => {
  const missing = server === '' ? 'TEST_POSTGRES_URL names no server' : null;
  beforeEach(({ skip }) => {
    if (missing !== null) skip(missing);
  });
  beforeAll(async () => {
    if (missing === null) await administer(`CREATE DATABASE ${database}`);
  });
  afterAll(async () => {
    if (missing === null) await administer(`DROP DATABASE ${database} WITH (FORCE)`);
  });
  facts(databaseUrl);

  test('the tables are made once when several processes come at once', async () => {
    const name = `${database}_new`;
    await administer(`CREATE DATABASE ${name}`);
    const url = databaseUrl().replace(database, name);
    const all = Array.from({ length: 4 }, () => openColdRows(url));
    const kept = all.map(() => rowOf());
    await Promise.all(all.map(async (rows, index) => rows.keep(kept.slice(index, index + 1))));
    expect(await all[0]?.walk('owner', '', 2e12, 10)).toHaveLength(4);
    await Promise.all(all.map(async (rows) => rows.close()));
    await administer(`DROP DATABASE ${name} WITH (FORCE)`);
  });
});

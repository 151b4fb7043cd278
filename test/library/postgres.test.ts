/**
 * The library in PostgreSQL. TEST_POSTGRES_URL names a server with pgvector on which databases may be made; without it these
 * tests are skipped.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CannotStart } from '../../src/cannot-start.ts';
import { openLibrary } from '../../src/library/open.ts';
import { libraryFacts, put } from './facts.ts';

const server = process.env['TEST_POSTGRES_URL'] ?? '';
const database = `longrun_test_${randomUUID().replaceAll('-', '')}`;
const WRITER = fileURLToPath(new URL('busy-writer.ts', import.meta.url));

async function administer(text: string): Promise<void> {
  const client = new Client(server);
  await client.connect();
  await client.query(text);
  await client.end();
}

function urlOf(name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

describe('with a server', () => {
  const missing = server === '' ? 'TEST_POSTGRES_URL names no server with pgvector' : null;
  beforeEach(({ skip }) => {
    if (missing !== null) skip(missing);
  });
  beforeAll(async () => {
    if (missing === null) await administer(`CREATE DATABASE ${database}`);
  });
  afterAll(async () => {
    if (missing === null) await administer(`DROP DATABASE ${database} WITH (FORCE)`);
  });

  libraryFacts('PostgreSQL', async () => openLibrary(urlOf(database)), missing);

  test('a library is made once when several processes come at once', async () => {
    const name = `${database}_new`;
    await administer(`CREATE DATABASE ${name}`);
    const libraries = await Promise.all(Array.from({ length: 4 }, async () => openLibrary(urlOf(name))));
    await Promise.all(
      libraries.map(async (library, index) =>
        put(library, { project: 'p', storeId: 's', fileId: `${index}` }, ['a word'], {
          space: 'x',
          vectors: [[1, 2]],
        }),
      ),
    );
    expect(await libraries[0]?.holding({ project: 'p', storeId: 's' })).toMatchObject({ files: 4 });
    await Promise.all(libraries.map(async (library) => library.close()));
    await administer(`DROP DATABASE ${name} WITH (FORCE)`);
  });

  test('a file is whole or not there when its writer is killed', async () => {
    const child = spawn(process.execPath, [WRITER, urlOf(database), 'killed', '1000'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    let begun = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === 'begun') begun += 1;
      if (begun === 5) break;
    }
    child.kill('SIGKILL');
    await exited;
    const library = await openLibrary(urlOf(database));
    const { files, chunks } = await library.holding({ project: 'p', storeId: 'killed' });
    expect(files).toBeGreaterThanOrEqual(4);
    expect(chunks).toBe(files * 100);
    await library.removeStore({ project: 'p', storeId: 'killed' });
    await library.close();
  });

  test('what cannot be used is refused in plain words, without its password', async () => {
    const url = new URL(urlOf('nowhere'));
    url.password = 'the-password';
    await expect(openLibrary(url.href)).rejects.toThrow(CannotStart);
    await expect(openLibrary(url.href)).rejects.not.toThrow(/the-password/);
    await expect(openLibrary('postgres://127.0.0.1:1/x')).rejects.toThrow(
      /LIBRARY_URL: the database cannot be used/,
    );
  });
});

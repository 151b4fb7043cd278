/** Opens the library that the configuration names, and what lies beside it. */
import { format, parse } from 'node:path';
import type { ColdRows } from '../runs/cold-row.ts';
import type { Library } from './library.ts';
import { LaterLibrary } from './later.ts';
import { LaterColdRows } from './later-rows.ts';
import { SqliteColdRows } from './sqlite/cold-rows.ts';
import { SqliteLibrary } from './sqlite/library.ts';

/**
 * @param url the address of a PostgreSQL database, or the path of a file for SQLite
 * @throws {CannotStart} where it cannot be opened.
 */
export async function openLibrary(url: string): Promise<Library> {
  // It has a thread of its own, and most processes never need it.
  if (!isPostgres(url)) return new LaterLibrary(async () => SqliteLibrary.open(url));
  // Its driver is loaded where it is needed only.
  const { PostgresLibrary } = await import('./postgres/library.ts');
  return PostgresLibrary.open(url);
}

/**
 * Where cold threads lie, opened when one is first asked for: a schema of its own in the library's database, or a file beside that of
 * the library, because only the library can be made again.
 * @param url as {@link openLibrary} takes it
 */
export function openColdRows(url: string): ColdRows {
  return new LaterColdRows(async () => {
    if (!isPostgres(url)) return SqliteColdRows.open(coldFile(url));
    const { PostgresColdRows } = await import('./postgres/cold-rows.ts');
    return PostgresColdRows.open(url);
  });
}

/** The file of cold threads beside that of the library: `library-threads.sqlite` beside `library.sqlite`. */
function coldFile(path: string): string {
  const { dir, name, ext } = parse(path);
  return format({ dir, name: `${name}-threads`, ext });
}

const isPostgres = (url: string): boolean => /^postgres(?:ql)?:\/\//.test(url);

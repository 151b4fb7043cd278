/** Opens the library that the configuration names. */
import type { Library } from './library.ts';
import { LaterLibrary } from './later.ts';
import { SqliteLibrary } from './sqlite/library.ts';

/**
 * @param url the address of a PostgreSQL database, or the path of a file for SQLite
 * @throws {CannotStart} where it cannot be opened.
 */
export async function openLibrary(url: string): Promise<Library> {
  // It has a thread of its own, and most processes never need it.
  if (!/^postgres(?:ql)?:\/\//.test(url)) return new LaterLibrary(async () => SqliteLibrary.open(url));
  // Its driver is loaded where it is needed only.
  const { PostgresLibrary } = await import('./postgres/library.ts');
  return PostgresLibrary.open(url);
}

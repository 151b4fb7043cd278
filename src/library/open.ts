/** Opens the library that the configuration names. */
import type { Library } from './library.ts';
import { SqliteLibrary } from './sqlite/library.ts';

/**
 * @param url the path of a file
 * @throws {CannotStart} where it cannot be opened.
 */
export async function openLibrary(url: string): Promise<Library> {
  return SqliteLibrary.open(url);
}

/**
 * Finds the bytes of exported files in a folder. An original lies there under the id of its file, with or without an ending, or
 * under its old name; of several that have the name, the size that was exported decides.
 */
import { readdirSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { z } from 'zod';

const exportedFile = z.looseObject({
  id: z.string().min(1),
  filename: z.string().nullish(),
  bytes: z.int().nullish(),
  purpose: z.string().nullish(),
  created_at: z.int().nullish(),
  expires_at: z.int().nullish(),
});

/** A file as lists showed it: everything but its bytes. */
export type ExportedFile = z.infer<typeof exportedFile>;

/** Where the bytes of a file are; or why they are not to be had, as a sentence without its subject. */
export type Original =
  | { readonly type: 'found'; readonly path: string }
  | { readonly type: 'missing'; readonly reason: string };

/** The object as a file; null for what has no id. */
export function fileIn(value: unknown): ExportedFile | null {
  return exportedFile.safeParse(value).data ?? null;
}

export class Originals {
  readonly #folder: string;
  /** Paths by the name of the file, and by that without its ending. */
  readonly #paths = new Map<string, string[]>();

  /** Looks into the folder and those in it. @throws {Error} saying why it cannot be read. */
  constructor(folder: string) {
    this.#folder = folder;
    for (const path of filesIn(folder)) {
      const name = basename(path).normalize();
      for (const key of new Set([name, name.slice(0, name.length - extname(name).length)]))
        this.#paths.set(key, [...(this.#paths.get(key) ?? []), path]);
    }
  }

  find({ id, filename, bytes }: ExportedFile): Original {
    const [own] = this.#paths.get(id) ?? [];
    if (own !== undefined) return { type: 'found', path: own };
    const name = filename?.normalize() ?? '';
    const named = (this.#paths.get(name) ?? []).filter((path) => basename(path).normalize() === name);
    const fitting = named.filter((path) => bytes == null || statSync(path).size === bytes);
    const [first, second] = fitting;
    if (first !== undefined && second === undefined) return { type: 'found', path: first };
    const file = name === '' ? id : `${name}, or ${id}`;
    if (first !== undefined)
      return missing(`${this.#folder} has it ${fitting.length} times; rename the right one to ${id}`);
    if (named.length > 0)
      return missing(`the one in ${this.#folder} has another size; if it is right, rename it to ${id}`);
    return missing(`${this.#folder} has no ${file}`);
  }
}

const missing = (reason: string): Original => ({ type: 'missing', reason });

function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .toSorted();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new Error(`The folder ${folder} cannot be read (${code}). Nothing was sent.`, { cause: error });
  }
}

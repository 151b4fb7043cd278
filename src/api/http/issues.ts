/** What is wrong with a request, as zod says it, and where. */
import type { z } from 'zod';

export type Issue = z.core.$ZodIssue;
export type Path = readonly PropertyKey[];

/** What `root` has at `path`; undefined where there is nothing. */
export function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined),
    root,
  );
}

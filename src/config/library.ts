/** Settings of vector stores: where the chunks of files lie, how they are found, and how many are read at a time. */
import { z } from 'zod';

export const libraryFields = {
  /** A file of SQLite, or the address of a PostgreSQL database with pgvector. */
  libraryUrl: z
    .string()
    .min(1)
    .refine((text) => !/^\w[\w+.-]+:\/\//.test(text) || /^postgres(?:ql)?:\/\/./.test(text), {
      error: "must be a file, or the address of a database such as 'postgres://host/name'",
    })
    .default('.data/library.sqlite'),
  /** A model that makes vectors of texts; without one, files are found by their words. */
  embeddingModel: z.string().min(1).max(256).optional(),
  /** Of its vectors; by default as many as the model makes. */
  embeddingDimensions: z.coerce.number().int().min(1).max(16_000).optional(),
  /** Files of vector stores that one worker process reads at a time. */
  indexConcurrency: z.coerce.number().int().min(0).max(64).default(2),
};

/** The address as a log may show it. What cannot be taken apart is not shown. */
export function withoutLibraryPassword(url: string): string {
  if (!/^postgres(?:ql)?:\/\//.test(url)) return url;
  const shown = URL.parse(url);
  if (shown === null) return '[redacted]';
  if (shown.password !== '') shown.password = 'redacted';
  // Passwords may stand among the options as well.
  shown.search = '';
  return shown.href;
}

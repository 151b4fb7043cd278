/** Settings that are lists. */
import { z } from 'zod';

/** A list in the file; one text with commas in the environment. */
export const list = <T>(item: z.ZodType<T>) =>
  z.preprocess(
    (value) => (typeof value === 'string' ? value.split(',').map((entry) => entry.trim()) : value),
    z.array(item),
  );

/** What models cost, for a million tokens. Only in the file. */
import { z } from 'zod';

const price = z.number().min(0).max(1e6);

export const pricesSchema = z.strictObject({
  input: price,
  /** Input that the model server had in its cache; by default as other input. */
  cachedInput: price.optional(),
  output: price,
});

export const priceFields = {
  /** What prices are in, as it is shown. */
  currency: z.string().min(1).max(8).default('USD'),
};

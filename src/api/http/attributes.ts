/** What a client notes about a file in a vector store, with the bounds of the hosted API. */
import { z } from 'zod';

const MAX_ATTRIBUTES = 16;
export const MAX_KEY_LENGTH = 64;
export const MAX_VALUE_LENGTH = 512;

export const attributeValue = z.union([z.string().max(MAX_VALUE_LENGTH), z.number(), z.boolean()]);
const attributeMap = z
  .record(z.string().max(MAX_KEY_LENGTH), attributeValue)
  .refine((value) => Object.keys(value).length <= MAX_ATTRIBUTES, {
    message: `There may be at most ${MAX_ATTRIBUTES} attributes.`,
  });
export const attributes = attributeMap.nullish().transform((value) => value ?? {});

/** Budgets of bytes: what one request, one object, one answer and one prompt may take of everybody's memory. */
import { z } from 'zod';

const MEBIBYTE = 1024 * 1024;
const bytes = z.coerce.number().int().min(1024);

export const budgetFields = {
  /** Data URLs of photos come in bodies, so the limit is generous. */
  bodyLimitBytes: bytes.default(32 * MEBIBYTE),
  /** All bodies that one API process holds at a time; derived from its memory where nobody says. */
  bodiesLimitBytes: bytes.optional(),
  /** All answers that one API process holds until their clients have taken them; derived from its memory where nobody says. */
  answersLimitBytes: bytes.optional(),
  /** One message, or the outputs of one submission: the largest photo of a phone as a data URL, or some ordinary ones. */
  messageLimitBytes: bytes.default(16 * MEBIBYTE),
  /** What is read of a thread for one prompt, newest first: a worker holds this a few times over while it asks. */
  promptLimitBytes: bytes.default(32 * MEBIBYTE),
  /** Objects in one page of a list. The rest is on the next page, as with any list. */
  pageLimitBytes: bytes.default(8 * MEBIBYTE),
};

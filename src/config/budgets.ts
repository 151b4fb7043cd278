/** Budgets of bytes: how much memory one request, object, answer or prompt may take. */
import { z } from 'zod';

const MEBIBYTE = 1024 * 1024;
const bytes = z.coerce.number().int().min(1024);

export const budgetFields = {
  /** Data URLs of photos come in bodies, so the limit is generous. */
  bodyLimitBytes: bytes.default(32 * MEBIBYTE),
  /** A form with a file that is passed on to a model server as it comes, so its size costs no memory. */
  uploadLimitBytes: bytes.default(128 * MEBIBYTE),
  /** All bodies that one API process holds at a time; by default derived from its memory. */
  bodiesLimitBytes: bytes.optional(),
  /** All answers that one API process holds until their clients have read them; by default derived from its memory. */
  answersLimitBytes: bytes.optional(),
  /**
   * One message, or the outputs of one submission: room for the largest photo of a phone as a data URL, or for several
   * ordinary ones.
   */
  messageLimitBytes: bytes.default(16 * MEBIBYTE),
  /** How much of a thread is read for one prompt, newest first. A worker holds several copies of it while it asks. */
  promptLimitBytes: bytes.default(32 * MEBIBYTE),
  /** Objects in one page of a list. The rest is on the next page, as with any list. */
  pageLimitBytes: bytes.default(8 * MEBIBYTE),
};

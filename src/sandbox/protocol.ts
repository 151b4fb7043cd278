/**
 * The line protocol between a kernel (python/kernel.py) and its owner: one JSON object a line. The kernel holds code that
 * is not ours and may say anything, so its lines are checked, counted, and accepted only when they may come.
 */
import { z } from 'zod';

/** The logs of a call; more is cut, and the logs say so. */
export const MAX_LOG_BYTES = 64 * 1024;
export const MAX_IMAGES = 20;
/** Of the files that a call has made or changed, so many are named. */
export const MAX_FILES = 20;
/** A piece of code. */
export const MAX_CODE_BYTES = 256 * 1024;
/** One line, and all lines of one call. Our own kernel stays far below. */
export const MAX_LINE_BYTES = 512 * 1024;
export const MAX_CALL_BYTES = 1024 * 1024;

/** What a kernel is asked. */
export interface KernelRequest {
  /** Every line about this request carries it. */
  readonly nonce: string;
  readonly code: string;
}

const nonce = z.string();

const lineSchema = z.discriminatedUnion('type', [
  /** Once, when the kernel has started. */
  z.object({ type: z.literal('ready') }),
  z.object({ nonce, type: z.literal('logs'), text: z.string() }),
  /** The name of a file in the kernel's folder of images. */
  z.object({ nonce, type: z.literal('image'), name: z.string() }),
  /** The call is over. `files` are new or changed; `more` of them are not named. */
  z.object({
    nonce,
    type: z.literal('done'),
    raised: z.boolean(),
    files: z.array(z.string()),
    more: z.number(),
  }),
]);

export type KernelLine = z.infer<typeof lineSchema>;

/** What a line says; null when the kernel would not have written it. */
export function readLine(text: string): KernelLine | null {
  try {
    return lineSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

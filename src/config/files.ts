/** Settings of files: where their bytes lie, and how much of them is kept. */
import { z } from 'zod';
import type { Env } from './env.ts';

const MEBIBYTE = 1024 * 1024;
const bytes = z.coerce.number().int().min(0);

export const filesFields = {
  /** Where the bytes of files lie: a folder, or a bucket of S3 as `s3://bucket/prefix`. */
  filesUrl: z
    .string()
    .min(1)
    .refine(
      (text) => !/^\w[\w+.-]+:\/\//.test(text) || /^s3:\/\/[a-z\d][a-z\d.-]+(?:\/[\w.!*'()/-]*)?$/.test(text),
      {
        error: "must be a folder, or a bucket of S3 such as 's3://bucket' or 's3://bucket/prefix'",
      },
    )
    .default('.data/files'),
  /** The folder is the same one for the processes of every machine. */
  filesShared: z.stringbool().or(z.boolean()).default(false),
  /** One file. An upload in parts may have 16 times that. */
  maxFileBytes: bytes.min(1024).default(512 * MEBIBYTE),
  /** All files of one project and the parts of its uploads; 0 is no limit. */
  maxProjectFilesBytes: bytes.default(10 * 1024 * MEBIBYTE),
};

/** What of the environment decides how S3 is spoken to, beyond what its client reads itself. */
export function s3EnvironmentOf(env: Env) {
  const endpoint = env['AWS_ENDPOINT_URL_S3'] || env['AWS_ENDPOINT_URL'];
  return { hasEndpoint: Boolean(endpoint), region: env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || null };
}

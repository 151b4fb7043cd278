/** What requests about files are made of. */
import { z } from 'zod';
import {
  CLIENT_PURPOSES,
  MAX_FILE_EXPIRY_S,
  MIN_FILE_EXPIRY_S,
  SERVER_PURPOSES,
  type ClientPurpose,
  type FileObject,
  type FilePurpose,
} from '../../runs/file.ts';
import { wrongPurpose } from './refusals.ts';

const MAX_PAGE = 10_000;
/** As many parts of a megabyte as the largest upload has. */
const MAX_PARTS = 10_000;
const MAX_SENT_NAME_LENGTH = 4_096;

/** @throws {ApiError} 400 for what clients may not upload a file for. */
export function clientPurpose(given: string): ClientPurpose {
  const known = CLIENT_PURPOSES.find((purpose) => purpose === given);
  if (known === undefined) throw wrongPurpose(given);
  return known;
}

const purpose = z.string().transform(clientPurpose);

const expiresAfter = z
  .strictObject({
    anchor: z.literal('created_at'),
    seconds: z.coerce.number().int().min(MIN_FILE_EXPIRY_S).max(MAX_FILE_EXPIRY_S),
  })
  .nullish();

/** The fields of a form beside its file. */
export const fileFields = z.strictObject({ purpose, expires_after: expiresAfter });

/** @param maxBytes of one upload */
export const newUpload = (maxBytes: number) =>
  z.strictObject({
    bytes: z.int().min(1).max(maxBytes),
    filename: z.string().min(1).max(MAX_SENT_NAME_LENGTH),
    mime_type: z.string().max(256).nullish(),
    purpose,
    expires_after: expiresAfter,
  });

export const completion = z.strictObject({
  part_ids: z.array(z.string()).min(1).max(MAX_PARTS),
  md5: z.string().max(64).nullish(),
});

export const nothing = z.strictObject({});

const everyPurpose: readonly FilePurpose[] = [...CLIENT_PURPOSES, ...SERVER_PURPOSES];

export const fileFilter = z.object({
  purpose: z
    .string()
    .transform((given): FilePurpose => {
      const known = everyPurpose.find((each) => each === given);
      if (known === undefined) throw wrongPurpose(given, everyPurpose);
      return known;
    })
    .optional(),
});

export const fileListQuery = z.object({
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(MAX_PAGE),
  order: z.enum(['asc', 'desc']).default('desc'),
  after: z.string().optional(),
});

/** Fields of a form as an object: `expires_after[seconds]` is a field of a field. */
export function nested(fields: ReadonlyMap<string, string>): Readonly<Record<string, unknown>> {
  const groups = new Map<string, Map<string, string>>();
  const plain = new Map<string, unknown>();
  for (const [name, value] of fields) {
    const [, outer, inner] = /^([^[\]]+)\[([^[\]]+)\]$/.exec(name) ?? [];
    if (outer === undefined || inner === undefined) plain.set(name, value);
    else groups.set(outer, (groups.get(outer) ?? new Map<string, string>()).set(inner, value));
  }
  for (const [outer, inners] of groups) plain.set(outer, Object.fromEntries(inners));
  return Object.fromEntries(plain);
}

/** A file whose bytes are there. */
export function newFile(
  own: Pick<FileObject, 'id' | 'bytes' | 'filename' | 'purpose'>,
  expiresAfterS: number | null,
  at: number,
): FileObject {
  return {
    id: own.id,
    object: 'file',
    bytes: own.bytes,
    created_at: at,
    expires_at: expiresAfterS === null ? null : at + expiresAfterS,
    filename: own.filename,
    purpose: own.purpose,
    status: 'processed',
    status_details: null,
  };
}

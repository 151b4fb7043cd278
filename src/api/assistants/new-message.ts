/**
 * A message as clients create it, alone and with threads and runs: in the form of requests, or as they listed it once and
 * post it into a new thread.
 */
import { z } from 'zod';
import type { Annotation, Attachment, ContentPart } from '../../runs/thread.ts';
import { imageDetail, imageUrl, MAX_CONTENT_PARTS, metadata } from '../http/shapes.ts';

/** More than any message of the hosted API had. */
const MAX_ATTACHMENTS = 500;

const MAX_ID_LENGTH = 128;
const mark = { start_index: z.int().min(0), end_index: z.int().min(0) };
const file = z.object({ file_id: z.string() });
const quoted = file.extend({ quote: z.string().exactOptional() });

/** Annotations of the known kinds. */
export const annotation: z.ZodType<Annotation> = z.union([
  z.object({ type: z.literal('file_citation'), text: z.string(), file_citation: quoted, ...mark }),
  z.object({ type: z.literal('file_path'), text: z.string(), file_path: file, ...mark }),
  z.object({
    type: z.literal('url_citation'),
    text: z.string().exactOptional(),
    url_citation: z.object({ url: z.string(), title: z.string() }),
    ...mark,
  }),
]);

/** The text of a listed message. Annotations of unknown kinds are left out, because strict clients fail at them. */
const listedText = z.strictObject({
  value: z.string(),
  annotations: z
    .array(z.unknown())
    .nullish()
    .transform((list) => (list ?? []).flatMap((each) => annotation.safeParse(each).data ?? [])),
});

const contentPart = z.union([
  z.strictObject({ type: z.literal('text'), text: z.union([z.string(), listedText]) }),
  z.strictObject({
    type: z.literal('image_url'),
    image_url: z.strictObject({ url: imageUrl, detail: imageDetail }),
  }),
  // Only listed messages have it.
  z.strictObject({ type: z.literal('refusal'), refusal: z.string() }),
  z.strictObject({
    type: z.literal('image_file'),
    image_file: z.strictObject({ file_id: z.string().min(1).max(MAX_ID_LENGTH), detail: imageDetail }),
  }),
]);

const content = z
  .union([z.string().min(1), z.array(contentPart).min(1).max(MAX_CONTENT_PARTS)])
  .transform((value): readonly ContentPart[] => {
    const parts = typeof value === 'string' ? [{ type: 'text' as const, text: value }] : value;
    return parts.map(toContentPart);
  });

/** A part as it is stored: text gets its annotations, if only an empty list, and pictures their detail. */
function toContentPart(part: z.infer<typeof contentPart>): ContentPart {
  switch (part.type) {
    case 'text': {
      const { text } = part;
      return { type: 'text', text: typeof text === 'string' ? { value: text, annotations: [] } : text };
    }
    case 'image_url':
      return {
        type: 'image_url',
        image_url: { url: part.image_url.url, detail: part.image_url.detail ?? 'auto' },
      };
    case 'refusal':
      return { type: 'text', text: { value: part.refusal, annotations: [] } };
    case 'image_file': {
      const { file_id, detail } = part.image_file;
      return { type: 'image_file', image_file: { file_id, detail: detail ?? 'auto' } };
    }
  }
}

const attachedTool = z.looseObject({ type: z.enum(['file_search', 'code_interpreter']) });
const attachments = z
  .array(z.strictObject({ file_id: z.string().min(1).max(128), tools: z.array(attachedTool).nullish() }))
  .max(MAX_ATTACHMENTS)
  .nullish()
  .transform((list): readonly Attachment[] =>
    (list ?? []).map(({ file_id, tools }) => ({
      file_id,
      tools: (tools ?? []).map(({ type }) => ({ type })),
    })),
  );

/** What a listed message says of its past, which a new message does not have. */
const PAST: ReadonlySet<string> = new Set([
  'id',
  'object',
  'created_at',
  'thread_id',
  'status',
  'incomplete_details',
  'completed_at',
  'incomplete_at',
  'assistant_id',
  'run_id',
]);

/** A listed message as a new one: without its past, and with a text where its run had ended before the first word. */
function withoutPast(given: unknown): unknown {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return given;
  const { content: said, ...rest }: { content?: unknown; object?: unknown } = given;
  const wasListed = rest.object === 'thread.message' && Array.isArray(said) && said.length === 0;
  const own = Object.entries(given).filter(([name]) => !PAST.has(name));
  return { ...Object.fromEntries(own), ...(wasListed && { content: [{ type: 'text', text: '' }] }) };
}

/** A message as clients create it, here and with threads and runs. */
export const newMessage = z.preprocess(
  withoutPast,
  z.strictObject({
    role: z.enum(['user', 'assistant']),
    content,
    attachments,
    metadata,
  }),
);

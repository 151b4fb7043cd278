/** How one exported object is read: checked by a schema, and then made into what is stored, with a note of what is left out. */
import { z } from 'zod';
import { isSafeId } from '../../store/keys.ts';
import * as shapes from './shapes.ts';

/** An object to store, with sentences about what was left out of it; or why it is refused. */
export type Read<T> =
  | { readonly type: 'read'; readonly object: T; readonly leftOut: readonly string[] }
  | { readonly type: 'refused'; readonly reason: string };

export type LeaveOut = (what: string) => void;

export const id = (prefix: string) =>
  z
    .string()
    .refine(
      (value) => value.startsWith(prefix) && isSafeId(value),
      `is not an id that begins with '${prefix}'`,
    );
export const safeId = z.string().refine(isSafeId, 'is not an id');
export const seconds = z
  .int()
  .min(0)
  .max(2 ** 32);
export const metadata = shapes.metadata.transform((value) => value ?? {});

export function read<Given, T>(
  schema: z.ZodType<Given>,
  value: unknown,
  build: (given: Given, leaveOut: LeaveOut) => T,
): Read<T> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) return { type: 'refused', reason: reasonOf(parsed.error) };
  const leftOut: string[] = [];
  const object = build(parsed.data, (what) => void leftOut.push(what));
  return { type: 'read', object, leftOut };
}

export function reasonOf({ issues: [first] }: z.ZodError): string {
  if (first === undefined) return 'it cannot be read';
  const where = first.path.map(String).join('.');
  // The schemas shared with requests put their refusals there.
  const refusal: unknown = first.code === 'custom' ? first.params?.['message'] : undefined;
  if (typeof refusal === 'string') return refusal.replaceAll('{param}', where);
  return `'${where}' ${first.message}`;
}

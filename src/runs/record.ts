/** The one check of whether a value that came from elsewhere is an object with fields. Pure. */

/** An object, not a list and not null. Its fields may be anything. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Documents out of Redis. They are what this store wrote there, so their shape is known and not checked again. */

/** What {@link JSON.stringify} of a `T` gave; null where there is none. */
export function decode<T>(text: string): T;
export function decode<T>(text: string | null): T | null;
export function decode(text: string | null): unknown {
  const value: unknown = text === null ? null : JSON.parse(text);
  return value;
}

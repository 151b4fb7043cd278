/** The header `traceparent` of W3C Trace Context: which trace a request belongs to, and which span of it is its parent. */

const PATTERN = /^00-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-[\da-f]{2}$/;

/** The trace that it names; null where there is none, or one that nobody may mean. */
export const traceIdIn = (traceparent: string | undefined): string | null =>
  PATTERN.exec(traceparent ?? '')?.[1] ?? null;

/** The header for a span of the same trace. */
export const siblingOf = (traceparent: string, id: string): string =>
  traceparent.replace(/^(..-.{32})-.{16}-/, `$1-${id}-`);

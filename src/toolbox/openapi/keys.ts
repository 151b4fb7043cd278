/**
 * The operator's headers, which may hold keys: sent only where the configuration points, and removed from every text
 * that leaves the tool. A document does not decide who gets them.
 */
export interface ApiKeys {
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Names of the headers, in lower case. */
  readonly names: ReadonlySet<string>;
  /** Whether a request to `url` may carry them. */
  readonly mayGo: (url: URL) => boolean;
  /** The text without the headers' values. */
  readonly hide: (text: string) => string;
}

/** Shorter parts of a value (`Bearer`, `en`) are not secrets, and hiding them would damage the API's answers. */
const MIN_SECRET_CHARS = 8;

/** @param home the address that the operator has named; null for a file, which is trusted like the operator */
export function createKeys(headers: Readonly<Record<string, string>>, home: URL | null): ApiKeys {
  const entries = Object.entries(headers);
  const parts = entries.flatMap(([, value]) => [value, ...value.split(/\s+/)]);
  const secrets = [...new Set(parts)]
    .filter((part) => part.length >= MIN_SECRET_CHARS)
    .toSorted((a, b) => b.length - a.length);
  return {
    headers: entries,
    names: new Set(entries.map(([name]) => name.toLowerCase())),
    mayGo: (url) => entries.length === 0 || home === null || home.origin === url.origin,
    hide: (text) => secrets.reduce((left, secret) => left.replaceAll(secret, '[redacted]'), text),
  };
}

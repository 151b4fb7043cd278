/** The parameters of a query as schemas see them. */

/** `name[]` or `name[0]`, as several HTTP libraries write lists. */
const ITEM = /^([^[\]]+)\[\d*\]$/;
/** Its keys may be numbers: `metadata[1]=x`. */
const WITH_KEYS: ReadonlySet<string> = new Set(['metadata']);

/**
 * A parameter that is given once is a text, and one that is given several times, in whatever form, a list of them: so a list
 * reaches the schema under its own name, and is refused in words where one value is wanted.
 */
export function queryValues(query: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const values = new Map<string, unknown[]>();
  for (const [given, value] of Object.entries(query)) {
    const name = ITEM.exec(given)?.[1] ?? given;
    const key = WITH_KEYS.has(name) ? given : name;
    const more: readonly unknown[] = Array.isArray(value) ? value : [value];
    values.set(key, [...(values.get(key) ?? []), ...more]);
  }
  return Object.fromEntries([...values].map(([name, all]) => [name, all.length === 1 ? all[0] : all]));
}

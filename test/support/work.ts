/** Counts work, where a clock would only tell how busy the machine was. */

const SEARCHES = ['includes', 'indexOf', 'lastIndexOf', 'find', 'findIndex', 'some', 'every'] as const;

/**
 * How many items there were in all the arrays that `act` searched from one end: what grows with the square when a list is
 * searched for each item of another.
 */
export function searchedItems(act: () => void): number {
  let items = 0;
  const originals = SEARCHES.map((name) => [name, Array.prototype[name]] as const);
  for (const [name, original] of originals) {
    Object.defineProperty(Array.prototype, name, {
      configurable: true,
      writable: true,
      value(this: readonly unknown[], ...args: readonly unknown[]): unknown {
        items += this.length;
        return Reflect.apply(original, this, args);
      },
    });
  }
  try {
    act();
  } finally {
    for (const [name, value] of originals)
      Object.defineProperty(Array.prototype, name, { configurable: true, writable: true, value });
  }
  return items;
}

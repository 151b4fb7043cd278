/** Counts work, because a clock would only show how busy the machine is. */

const SEARCHES = ['includes', 'indexOf', 'lastIndexOf', 'find', 'findIndex', 'some', 'every'] as const;
const ARRAYS: object = Array.prototype;

/**
 * How many items there were in all the arrays that `act` searched from one end. It grows with the square when a list is
 * searched for each item of another.
 */
export function searchedItems(act: () => void): number {
  let items = 0;
  const counting = (search: (...args: never) => unknown) =>
    function counted(this: readonly unknown[], ...args: readonly unknown[]): unknown {
      items += this.length;
      return Reflect.apply(search, this, args);
    };
  const originals = SEARCHES.map((name) => ({ name, search: Array.prototype[name] }));
  for (const { name, search } of originals) Reflect.set(ARRAYS, name, counting(search));
  try {
    act();
  } finally {
    for (const { name, search } of originals) Reflect.set(ARRAYS, name, search);
  }
  return items;
}

/** How many characters of JSON `act` parsed. It grows with the square when a text is parsed again for each piece of it. */
export function parsedCharacters(act: () => void): number {
  let characters = 0;
  const { parse } = JSON;
  JSON.parse = (text, reviver): unknown => {
    characters += text.length;
    return parse(text, reviver);
  };
  try {
    act();
  } finally {
    JSON.parse = parse;
  }
  return characters;
}

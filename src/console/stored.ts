/**
 * What the browser keeps for the console, for the tab or beyond it. Where the reader has forbidden that, or there is no room, it is
 * kept as long as the page is open.
 */

type Term = 'tab' | 'machine';

const memory = new Map<string, string>();

/** Null where nothing is kept under the name. */
export function stored(name: string, term: Term): string | null {
  try {
    return storageOf(term).getItem(name) ?? memory.get(`${term} ${name}`) ?? null;
  } catch {
    return memory.get(`${term} ${name}`) ?? null;
  }
}

export function store(name: string, value: string, term: Term): void {
  try {
    storageOf(term).setItem(name, value);
    memory.delete(`${term} ${name}`);
  } catch {
    memory.set(`${term} ${name}`, value);
  }
}

export function forget(name: string, term: Term): void {
  memory.delete(`${term} ${name}`);
  try {
    storageOf(term).removeItem(name);
  } catch {
    // Nothing was kept there.
  }
}

/** Browsers refuse the object itself where a page may keep nothing. */
const storageOf = (term: Term): Storage => (term === 'tab' ? sessionStorage : localStorage);

/**
 * Values that need not wait for a promise each. Nearly all that streams tell are fragments, a few letters each: on their way
 * through this process, the promises between a reader and its source would cost more than what is done with them.
 */
export interface Passing<T> extends AsyncIterable<T, void> {
  /**
   * While `next` is waited for, fragments go to `take` in the tick in which they come, and `next` waits on. All else comes
   * by `next`, in order. Nothing is passed before `next` was called, and a fragment ends nothing. Null: nothing any more.
   */
  readonly pass?: (take: ((value: T) => void) | null) => void;
}

/** The same values, each told to `hear` before whoever reads them is given it. */
export function overheard<T>(source: Passing<T>, hear: (value: T) => void): Passing<T> {
  return {
    [Symbol.asyncIterator]: () => {
      const values = source[Symbol.asyncIterator]();
      return {
        next: async () => {
          const result = await values.next();
          if (result.done !== true) hear(result.value);
          return result;
        },
        return: async () => (await values.return?.()) ?? { done: true, value: undefined },
      };
    },
    pass: (take) =>
      source.pass?.(
        take &&
          ((value) => {
            hear(value);
            take(value);
          }),
      ),
  };
}

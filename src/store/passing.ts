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

/** Brings the texts of a stream to its client in the order in which they come, no faster than the client takes them. */
import type { Passing } from '../../store/passing.ts';

/** Where texts go. */
export interface Sink {
  /** Whether its client has gone. */
  readonly isGone: boolean;
  /** Takes a text; false when its client has gone or does not read. Answers at once unless there is something to wait for. */
  write(text: string): boolean | Promise<boolean>;
}

/**
 * Writes all texts.
 * @param onNext called whenever the next text is there, or the end
 * @returns false where the client did not take them all although it is there
 */
export async function pour(
  frames: Passing<string>,
  sink: Sink,
  onNext: () => void = () => {},
): Promise<boolean> {
  const texts = frames[Symbol.asyncIterator]();
  /** Whether the client has taken, or will take, what was passed. */
  let passed: boolean | Promise<boolean> = true;
  let isTaken = true;
  const take = (text: string): void => {
    if (sink.isGone) return;
    passed = sink.write(text);
    if (passed !== true) frames.pass?.(null);
  };
  /** Writes what comes next, and does not hold it while nothing comes. @returns whether more may follow */
  const writeNext = async (): Promise<boolean> => {
    frames.pass?.(take);
    const next = await texts.next();
    frames.pass?.(null);
    onNext();
    if (!(passed === true || (passed !== false && (await passed)))) return (isTaken = false);
    passed = true;
    if (next.done === true || sink.isGone) return false;
    const written = sink.write(next.value);
    // Awaited only where there is something to wait for.
    return written === true || (written !== false && (await written)) || (isTaken = false);
  };
  try {
    while (await writeNext());
  } finally {
    await texts.return?.();
  }
  return isTaken;
}

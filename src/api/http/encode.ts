/** From events to the text of a stream: what comes together is written together. */

/** Makes the frames of one stream. It is given every event once and in order, and may remember what came before. */
export interface Encoder<T> {
  /** The frames of the next event, whole; empty where it has nothing to show. */
  readonly encode: (event: T) => string | Promise<string>;
  /** The frames just made are the stream's last. */
  readonly isOver: boolean;
}

/** Frames are sent together up to this length: each may repeat the whole run, and the reader may be slow. */
const TOGETHER_LENGTH = 64 * 1024;

/**
 * The frames of all events, until the encoder or its source has said the last. The frames of a batch are one text,
 * because what a token costs is mostly the write to the client.
 * @param first goes before all others, at once
 */
export async function* encoded<T>(
  batches: AsyncIterable<readonly T[]>,
  encoder: Encoder<T>,
  first = '',
): AsyncGenerator<string, void> {
  const source = batches[Symbol.asyncIterator]();
  try {
    if (first !== '') yield first;
    while (!encoder.isOver) {
      const next = await source.next();
      if (next.done === true) return;
      let text = '';
      for (const event of next.value) {
        const frames = encoder.encode(event);
        text += typeof frames === 'string' ? frames : await frames;
        if (encoder.isOver) break;
        if (text.length < TOGETHER_LENGTH) continue;
        yield text;
        text = '';
      }
      if (text !== '') yield text;
    }
  } finally {
    // Not only at the end: the reader may leave before the source was asked for anything.
    await source.return?.();
  }
}

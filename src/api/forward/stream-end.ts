/** How an answer ends that the model server breaks off. */
import { ApiError } from '../../errors.ts';

/** Enough of an event stream's end to see whether an event is complete. */
const TAIL_BYTES = 4;
const EVENT_END = /(?:\n\n|\r\r|\r\n\r\n)$/;

/**
 * The chunks; where they end in an error, an event stream says so and ends, unless it is in the middle of an event. Any other
 * answer just breaks off: its client sees that it is not whole.
 */
export async function* closedWell(
  chunks: AsyncIterable<Uint8Array>,
  headers: Readonly<Record<string, string>>,
): AsyncGenerator<Uint8Array, void> {
  const isStream = /^\s*text\/event-stream\b/i.test(headers['content-type'] ?? '');
  let tail = '\n\n';
  try {
    for await (const chunk of chunks) {
      if (isStream)
        tail = (tail + Buffer.from(chunk.slice(-TAIL_BYTES)).toString('latin1')).slice(-TAIL_BYTES);
      yield chunk;
    }
  } catch (error) {
    if (!isStream || !(error instanceof ApiError) || !EVENT_END.test(tail)) throw error;
    yield Buffer.from(`data: ${JSON.stringify(error.body)}\n\ndata: [DONE]\n\n`);
  }
}

/** Writes an answer of any type as it comes, as fast as its client takes it. */
import type { Response } from 'express';
import type { Logger } from '../../log.ts';
import type { Delivery } from './delivery.ts';

/** What is written. */
interface Passed {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Writes until the chunks end or the client leaves. If they end in an error, so does the connection: the answer is not whole. */
export async function writeBytes(
  response: Response,
  delivery: Delivery,
  { status, headers, chunks }: Passed,
  log: Logger,
): Promise<void> {
  response.writeHead(status, headers);
  response.flushHeaders();
  response.socket?.setNoDelay(true);
  try {
    for await (const chunk of chunks) {
      if (response.destroyed) return;
      if (await delivery.write(chunk)) continue;
      log.info('a reader did not take its answer; leaving it');
      return;
    }
  } catch {
    // Whoever made the chunks has told why.
    response.destroy();
    return;
  }
  delivery.close();
}

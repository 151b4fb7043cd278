/**
 * Writes an event stream: headers at once, together with the frames that are there by then, further frames as they come, and a
 * comment as heartbeat in between. It waits for a slow
 * reader, and gives it up after a while (delivery.ts): what the reader missed is in the run's log.
 */
import type { Response } from 'express';
import { LogGone } from '../../store/follow.ts';
import type { Passing } from '../../store/passing.ts';
import type { Logger } from '../../log.ts';
import type { Delivery } from './delivery.ts';
import { pour } from './pour.ts';

export interface EventsOptions {
  readonly heartbeatMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly log: Logger;
  /** The frames that end a stream that breaks off; null: those of the Assistants API. */
  readonly failure: string | null;
}

/**
 * A comment of one line. A blank line after it would be an empty event for clients that remember an `id:` line, and
 * would crash their JSON parser.
 */
const HEARTBEAT = ': ping\n';

/** Writes `frames` to the client until they end or the client leaves. Each frame is whole, with its blank line. */
export async function writeEvents(
  response: Response,
  delivery: Delivery,
  frames: Passing<string>,
  { heartbeatMs, headers, log, failure }: EventsOptions,
): Promise<void> {
  response.writeHead(200, {
    ...headers,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store, no-cache, no-transform',
    'x-accel-buffering': 'no',
  });
  // A write takes as long as all else about a first word, so the headers do not take one of their own where a word is there.
  const flushing = setImmediate(() => response.flushHeaders());
  response.socket?.setNoDelay(true);
  const heartbeat = setInterval(() => {
    if (!delivery.isWaiting) response.write(HEARTBEAT);
  }, heartbeatMs);
  try {
    const sink = {
      get isGone(): boolean {
        return response.destroyed;
      },
      write: (text: string) => delivery.write(text),
    };
    const isTaken = await pour(frames, sink, () => clearImmediate(flushing));
    if (!isTaken) log.info('a reader did not drain its stream; leaving it');
  } catch (error) {
    clearImmediate(flushing);
    if (!(error instanceof LogGone)) log.error({ err: error }, 'stream failed');
    const message = error instanceof LogGone ? GONE[error.why] : BROKEN_OFF;
    response.write(failure ?? errorFrames(message));
  } finally {
    clearInterval(heartbeat);
    delivery.close();
  }
}

const BROKEN_OFF = 'The stream broke off. The run goes on; retrieve it to see how it ends.';
const DELETED = 'The run was deleted together with its thread.';
const GONE: Readonly<Record<LogGone['why'], string>> = {
  deleted: DELETED,
  expired: DELETED,
  damaged: 'What is stored of the run is damaged, and it was given up. Create another one.',
};

/** For faults that no run event reports. SDKs raise an error only if it is wrapped in `error`; they ignore a bare one. */
function errorFrames(message: string): string {
  const data = JSON.stringify({ error: { message, type: 'server_error', param: null, code: null } });
  return `event: error\ndata: ${data}\n\nevent: done\ndata: [DONE]\n\n`;
}

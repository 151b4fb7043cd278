/** Waits for clients, as long as they are there and go on reading. */

/** A connection, or the answer on it. */
export interface Leavable {
  readonly closed: boolean;
  on(event: 'close', listener: () => void): unknown;
  off(event: 'close', listener: () => void): unknown;
}

/**
 * Whether an awaited event comes before the client has gone, and in time.
 * @param wait begins to wait, and calls `done` once; returns how that is stopped
 */
export async function inTime(
  client: Leavable,
  idleMs: number,
  wait: (done: () => void) => () => void,
): Promise<boolean> {
  if (client.closed) return false;
  return new Promise((resolve) => {
    const finish = (result: boolean): void => {
      clearTimeout(timer);
      stop();
      client.off('close', onClose);
      resolve(result);
    };
    const onClose = (): void => finish(false);
    const timer = setTimeout(onClose, idleMs);
    const stop = wait(() => finish(true));
    client.on('close', onClose);
  });
}

/** A budget of memory in bytes, granted in order: large prompts wait here until they may be read. */

/** Room that has been granted. */
export interface RoomShare {
  /** Keeps `bytes` at most and gives the rest back. */
  shrink(bytes: number): void;
  /** Shrinks later, unless the timer is cleared. */
  shrinkAfter(ms: number, bytes: number): NodeJS.Timeout;
  /** Gives all of it back; calling it again changes nothing. */
  close(): void;
}

interface WaitingForRoom {
  readonly bytes: number;
  readonly enter: () => void;
}

export class Room {
  readonly #capacity: number;
  readonly #queue: WaitingForRoom[] = [];
  #left: number;

  /** @param bytes the budget; a request for more than that gets all of it */
  constructor(bytes: number) {
    this.#capacity = bytes;
    this.#left = bytes;
  }

  /**
   * Resolves when there is room, in the order of the calls.
   * @throws the signal's reason when it is aborted before there is room.
   */
  async take(bytes: number, signal: AbortSignal): Promise<RoomShare> {
    signal.throwIfAborted();
    const wanted = Math.min(bytes, this.#capacity);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting: WaitingForRoom = { bytes: wanted, enter: resolve };
    const leave = (): void => {
      const place = this.#queue.indexOf(waiting);
      if (place === -1) return;
      this.#queue.splice(place, 1);
      const reason: unknown = signal.reason;
      reject(reason);
      this.#admit();
    };
    this.#queue.push(waiting);
    signal.addEventListener('abort', leave, { once: true });
    this.#admit();
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', leave);
    }
    return this.#share(wanted);
  }

  #share(wanted: number): RoomShare {
    let held = wanted;
    const shrink = (bytes: number): void => {
      if (bytes >= held) return;
      this.#left += held - bytes;
      held = bytes;
      this.#admit();
    };
    const shrinkAfter = (ms: number, bytes: number): NodeJS.Timeout => setTimeout(() => shrink(bytes), ms);
    return { shrink, shrinkAfter, close: () => shrink(0) };
  }

  #admit(): void {
    for (let [next] = this.#queue; next !== undefined && next.bytes <= this.#left; [next] = this.#queue) {
      this.#queue.shift();
      this.#left -= next.bytes;
      next.enter();
    }
  }
}

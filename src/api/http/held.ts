/** A budget of bytes that this process holds for many requests together: one for bodies, another for answers. */

/**
 * This much of each share is not counted, so that ordinary requests get through while large ones have to come back later.
 */
const UNCOUNTED_BYTES = 16 * 1024;

/** The bytes that all shares hold together. There is always room for one share, however large. */
export class HeldBytes {
  readonly #limitBytes: number;
  readonly #waiting = new Set<() => void>();
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** How many bytes are counted now. */
  get bytes(): number {
    return this.#bytes;
  }

  open(): HeldShare {
    return new HeldShare(this);
  }

  /** Whether there is room for `bytes` in place of the `instead` bytes that one share has now. */
  hasRoomFor(bytes: number, instead: number): boolean {
    if (bytes <= instead || this.#bytes === instead) return true;
    return this.#bytes - instead + bytes <= this.#limitBytes;
  }

  /** Counts `more` bytes, or fewer when it is negative. */
  count(more: number): void {
    this.#bytes += more;
    if (more < 0) for (const look of this.#waiting) look();
  }

  /** Calls `look` whenever bytes were given back. @returns a function that stops that. */
  onRoom(look: () => void): () => void {
    this.#waiting.add(look);
    return () => void this.#waiting.delete(look);
  }
}

/** The share of one request. Once closed, it holds nothing and grants every size. */
export class HeldShare {
  readonly #held: HeldBytes;
  #size = 0;
  #counted = 0;
  #isClosed = false;

  constructor(held: HeldBytes) {
    this.#held = held;
  }

  /** How large it is now. */
  get size(): number {
    return this.#size;
  }

  /** Whether anything of it counts in the budget. */
  get counts(): boolean {
    return this.#counted > 0;
  }

  /** Whether the share could have this size now. */
  hasRoomFor(size: number): boolean {
    return this.#held.hasRoomFor(size - UNCOUNTED_BYTES, this.#counted);
  }

  /** Sets the share's size; false, with nothing changed, when there is no room. */
  resize(size: number): boolean {
    if (this.#isClosed) return true;
    const counted = Math.max(0, size - UNCOUNTED_BYTES);
    if (!this.#held.hasRoomFor(counted, this.#counted)) return false;
    const more = counted - this.#counted;
    this.#size = size;
    this.#counted = counted;
    if (more !== 0) this.#held.count(more);
    return true;
  }

  /** Makes the share larger; false when there is no room for that. */
  grow(bytes: number): boolean {
    return this.resize(this.#size + bytes);
  }

  /** Calls `look` whenever other shares have given bytes back. @returns a function that stops that. */
  onRoom(look: () => void): () => void {
    return this.#held.onRoom(look);
  }

  close(): void {
    this.resize(0);
    this.#isClosed = true;
  }
}

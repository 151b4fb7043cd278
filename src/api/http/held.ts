/** What this process holds for many requests together, in bytes and within a budget: bodies in one, answers in another. */

/** Of every share so much is not counted: ordinary requests get through while large ones have to come back later. */
const UNCOUNTED_BYTES = 16 * 1024;

/** What all of them hold together. There is always room for one, however large it is. */
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

  /** Whether there is room for so much in place of what one of them has now. */
  hasRoomFor(bytes: number, instead: number): boolean {
    if (bytes <= instead || this.#bytes === instead) return true;
    return this.#bytes - instead + bytes <= this.#limitBytes;
  }

  /** Takes so much more, or gives it back. */
  count(more: number): void {
    this.#bytes += more;
    if (more < 0) for (const look of this.#waiting) look();
  }

  /** Calls `look` whenever something was given back. @returns how to stop. */
  onRoom(look: () => void): () => void {
    this.#waiting.add(look);
    return () => void this.#waiting.delete(look);
  }
}

/** What one of them holds. Nothing, and whatever it says, once it is closed. */
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

  /** Whether it could have this size now. */
  hasRoomFor(size: number): boolean {
    return this.#held.hasRoomFor(size - UNCOUNTED_BYTES, this.#counted);
  }

  /** Gives it this size; false, and nothing changed, when there is no room. */
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

  /** Makes it larger; false when there is no room for that. */
  grow(bytes: number): boolean {
    return this.resize(this.#size + bytes);
  }

  /** Calls `look` whenever others have given something back. @returns how to stop. */
  onRoom(look: () => void): () => void {
    return this.#held.onRoom(look);
  }

  close(): void {
    this.resize(0);
    this.#isClosed = true;
  }
}

/**
 * An answer on its way to its client. This process holds what the client has not read yet. Those bytes count in one
 * budget for all answers and streams, and are kept only while the client goes on reading.
 */
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { Response } from 'express';
import { answersFull } from '../../errors.ts';
import type { HeldBytes, HeldShare } from './held.ts';
import { inTime } from './in-time.ts';

/** Phones stall for seconds when they change cells; after a longer stall their connection is gone. */
const IDLE_MS = 30_000;
/** How much is written at a time; a client that takes the next piece shows that it reads. */
const PIECE_BYTES = 64 * 1024;

export interface DeliveryOptions {
  /** The budget for the answers of this process. */
  readonly answers: HeldBytes;
  /** How long a client may read nothing of an answer. */
  readonly idleMs?: number;
}

export class Delivery {
  readonly #response: Response;
  readonly #share: HeldShare;
  readonly #idleMs: number;
  /** Bytes held besides the answer itself, for as long as it takes. */
  #besideBytes = 0;
  /** Whether a part of the stream was written, and before it the head. */
  #isBegun = false;

  constructor(response: Response, { answers, idleMs = IDLE_MS }: DeliveryOptions) {
    this.#response = response;
    this.#share = answers.open();
    this.#idleMs = idleMs;
    response.once('close', () => this.#share.close());
  }

  /**
   * Takes room for an answer of this size, before memory is spent on it.
   * @throws {ApiError} 503 when there is none.
   */
  admit(bytes: number): void {
    if (!this.take(bytes)) throw answersFull();
  }

  /** Gives back the room of an answer whose time has not come yet. @returns how much that was */
  letGo(): number {
    const bytes = this.#share.size;
    this.#share.resize(0);
    return bytes;
  }

  /** As {@link admit}, but returns whether there was room. */
  take(bytes: number): boolean {
    return this.#share.resize(bytes);
  }

  /**
   * Takes room for what a stream holds of its run, for as long as it is open.
   * @throws {ApiError} 503 when there is none.
   */
  admitBeside(bytes: number): void {
    this.admit(bytes);
    this.#besideBytes = bytes;
  }

  /** Sends the whole body after the head. {@link admit} or {@link take} must have taken its room. */
  end(body: string, bytes: number): void {
    if (bytes <= PIECE_BYTES) {
      this.#response.end(body);
      this.#mindTheRest();
      return;
    }
    // Not awaited, because the awaiting caller would keep the objects alive that the answer was made from.
    this.#pour(Buffer.from(body)).catch(() => this.#response.destroy());
  }

  /**
   * Writes a part of a stream; false, with the connection closed, when its client has gone or does not read. Answers at once
   * unless there is something to wait for: most parts are a few words, and nothing is in their way.
   */
  write(part: string | Uint8Array): boolean | Promise<boolean> {
    const response = this.#response;
    if (response.destroyed) return false;
    const bytes = typeof part === 'string' ? Buffer.byteLength(part) : part.byteLength;
    if (bytes > PIECE_BYTES || !this.#hold(bytes)) return this.#writeInTime(part, bytes);
    const { socket } = response;
    // Where nothing of the share counts, nothing has to be given back when the part is taken.
    const onTaken = this.#share.counts ? this.#onTaken : undefined;
    const isChunk = this.#isBegun && typeof part === 'string' && bytes > 0 && response.chunkedEncoding;
    if (isChunk && socket?.writable === true)
      return writeChunk(socket, part, bytes, onTaken) || this.#stays(this.#drained(socket));
    this.#isBegun = true;
    return response.write(part, 'utf8', onTaken) || this.#stays(this.#drained());
  }

  /** Whether the client has yet to take what was written. */
  get isWaiting(): boolean {
    return this.#response.writableNeedDrain || this.#response.socket?.writableNeedDrain === true;
  }

  async #writeInTime(part: string | Uint8Array, bytes: number): Promise<boolean> {
    const response = this.#response;
    if (!this.#hold(bytes) && !(await this.#hears((done) => this.#whenHeld(bytes, done))))
      return this.#leave();
    if (bytes > PIECE_BYTES) return this.#pieces(typeof part === 'string' ? Buffer.from(part) : part);
    return response.write(part, 'utf8', this.#onTaken) || this.#stays(this.#drained());
  }

  /** Ends a stream. */
  close(): void {
    this.#response.end();
    this.#mindTheRest();
  }

  async #pour(body: Buffer): Promise<void> {
    if (!(await this.#pieces(body))) return;
    this.close();
  }

  async #pieces(body: Uint8Array): Promise<boolean> {
    for (let at = 0; at < body.length; at += PIECE_BYTES) {
      if (this.#response.destroyed) return false;
      const isTaken = this.#response.write(body.subarray(at, at + PIECE_BYTES));
      if (!isTaken && !(await this.#drained())) return this.#leave();
      // One piece may still be on its way; that is not worth counting.
      this.#share.resize(this.#besideBytes + Math.max(0, body.length - at - PIECE_BYTES));
    }
    return true;
  }

  #hold(more: number): boolean {
    return this.#share.resize(this.#besideBytes + this.#response.writableLength + more);
  }

  #whenHeld(bytes: number, done: () => void): () => void {
    return this.#share.onRoom(() => this.#hold(bytes) && done());
  }

  readonly #onTaken = (): void => void this.#hold(0);

  async #stays(drained: Promise<boolean>): Promise<boolean> {
    return (await drained) || this.#leave();
  }

  #leave(): false {
    this.#response.destroy();
    return false;
  }

  async #drained(from: Writable = this.#response): Promise<boolean> {
    return this.#hears((done) => on(from, 'drain', done));
  }

  /** Waits until the client has taken the rest of a finished answer; until then the connection serves no other. */
  #mindTheRest(): void {
    const response = this.#response;
    if (response.writableLength === 0 || response.destroyed) return;
    const finished = async (): Promise<void> => {
      if (!(await this.#hears((done) => on(response, 'finish', done)))) response.destroy();
    };
    // It waits behind another answer on its connection, and has not begun.
    if (response.socket === null) response.once('socket', () => void finished());
    else void finished();
  }

  async #hears(wait: (done: () => void) => () => void): Promise<boolean> {
    return inTime(this.#response, this.#idleMs, wait);
  }
}

function on(from: Writable, event: 'drain' | 'finish', done: () => void): () => void {
  from.on(event, done);
  return () => from.off(event, done);
}

/**
 * Writes a part of a body that is sent in chunks, as Node would, but in one piece: Node makes three of it, gathers them
 * until the next tick, and has the system put them together, which takes as long again.
 * @param socket of a response whose head was written to it. A response that waits behind another has none yet.
 */
function writeChunk(socket: Socket, part: string, bytes: number, onTaken?: () => void): boolean {
  // Text of single bytes needs no look at each of its characters.
  const encoding = bytes === part.length ? 'latin1' : 'utf8';
  return socket.write(`${bytes.toString(16)}\r\n${part}\r\n`, encoding, onTaken);
}

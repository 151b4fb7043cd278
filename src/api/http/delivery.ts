/**
 * An answer on its way to its client. What the client has not taken yet is held by this process: it counts in one budget for
 * all answers and streams, and is kept only while the client goes on reading.
 */
import type { Response } from 'express';
import { answersFull } from '../../errors.ts';
import type { HeldBytes, HeldShare } from './held.ts';

/** Phones stall for seconds when they change cells; longer, and their connection is gone. */
const IDLE_MS = 30_000;
/** What is written at a time: by taking the next one a client shows that it reads. */
const PIECE_BYTES = 64 * 1024;

export interface DeliveryOptions {
  /** The answers of this process that are on their way. */
  readonly answers: HeldBytes;
  /** How long a client may take nothing of an answer. */
  readonly idleMs?: number;
}

export class Delivery {
  readonly #response: Response;
  readonly #share: HeldShare;
  readonly #idleMs: number;
  /** What is held beside the bytes, for as long as the answer takes. */
  #besideBytes = 0;

  constructor(response: Response, { answers, idleMs = IDLE_MS }: DeliveryOptions) {
    this.#response = response;
    this.#share = answers.open();
    this.#idleMs = idleMs;
    response.once('close', () => this.#share.close());
  }

  /**
   * Takes room for an answer of that size, before memory is spent on it.
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

  /** As {@link admit}, but says whether there was room. */
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

  /** Sends the whole body, behind the head that was written; its room has been taken by {@link admit}. */
  end(body: string, bytes: number): void {
    if (bytes <= PIECE_BYTES) {
      this.#response.end(body);
      this.#mindTheRest();
      return;
    }
    // Not awaited: whoever awaited it would hold on to what the answer was made of.
    this.#pour(Buffer.from(body)).catch(() => this.#response.destroy());
  }

  /** Writes a part of a stream; false, and the connection closed, when its client has gone or does not read. */
  async write(part: string): Promise<boolean> {
    const response = this.#response;
    if (response.destroyed) return false;
    const bytes = Buffer.byteLength(part);
    if (!this.#hold(bytes) && !(await this.#hears((done) => this.#whenHeld(bytes, done))))
      return this.#leave();
    if (bytes > PIECE_BYTES) return this.#pieces(Buffer.from(part));
    if (!response.write(part, 'utf8', this.#onTaken) && !(await this.#drained())) return this.#leave();
    return true;
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

  async #pieces(body: Buffer): Promise<boolean> {
    for (let at = 0; at < body.length; at += PIECE_BYTES) {
      if (this.#response.destroyed) return false;
      const isTaken = this.#response.write(body.subarray(at, at + PIECE_BYTES));
      if (!isTaken && !(await this.#drained())) return this.#leave();
      // One piece may still be on its way; it is not worth counting.
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

  #leave(): false {
    this.#response.destroy();
    return false;
  }

  async #drained(): Promise<boolean> {
    return this.#hears((done) => this.#on('drain', done));
  }

  /** What is left when an answer has been said; the connection serves no other one before that is taken. */
  #mindTheRest(): void {
    const response = this.#response;
    if (response.writableLength === 0 || response.destroyed) return;
    const finished = async (): Promise<void> => {
      if (!(await this.#hears((done) => this.#on('finish', done)))) response.destroy();
    };
    // Behind another answer on its connection it has not even begun.
    if (response.socket === null) response.once('socket', () => void finished());
    else void finished();
  }

  #on(event: 'drain' | 'finish', done: () => void): () => void {
    this.#response.on(event, done);
    return () => this.#response.off(event, done);
  }

  /** Whether what was waited for came before the client has gone, or has taken nothing for too long. */
  async #hears(wait: (done: () => void) => () => void): Promise<boolean> {
    const response = this.#response;
    if (response.closed) return false;
    return new Promise((resolve) => {
      const finish = (result: boolean): void => {
        clearTimeout(timer);
        stop();
        response.off('close', onClose);
        resolve(result);
      };
      const onClose = (): void => finish(false);
      const timer = setTimeout(onClose, this.#idleMs);
      const stop = wait(() => finish(true));
      response.on('close', onClose);
    });
  }
}

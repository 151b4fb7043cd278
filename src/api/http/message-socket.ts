/**
 * One WebSocket: texts that come, and texts that go. What its client sends and has not been read counts in one budget of the
 * process, what goes to it and was not taken in that of all answers; a client that takes nothing is given up.
 */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { ApiError, answersFull, bodiesFull, bodyTooLarge } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { Passing } from '../../store/passing.ts';
import type { HeldBytes, HeldShare } from './held.ts';
import { inTime } from './in-time.ts';
import { pour, type Sink } from './pour.ts';

/** Phones stall for seconds when they change cells; after a longer stall their connection is gone. */
const IDLE_MS = 30_000;
/** A client that has shown no sign of life for so many beats has gone. */
const SILENT_BEATS = 2;
/** As long as at the hosted API. */
const LIFE_MS = 60 * 60 * 1000;
/** How long a client may take to answer that the connection is closed. */
const CLOSE_MS = 50;
/** Answers that nobody waits for, and that a client has not taken: one that asks for more takes none. */
const MAX_UNTAKEN = 4;
const NORMAL = 1000;
const GOING_AWAY = 1001;
const TRY_LATER = 1013;

/** Why a connection is to end: the process is told to stop, or it has been open for as long as it may. */
export type Retirement = 'shutdown' | 'time';

/** Whoever serves a connection. */
export interface SocketServer {
  /** A message has come. Its bytes count until `release` is called. */
  readonly hear: (text: string, release: () => void) => void;
  /** A message has come that cannot be read. */
  readonly refuse: (error: ApiError) => void;
  /** Takes no further work. What is under way goes on, and then closes the connection. */
  readonly retire: (why: Retirement) => void;
  /** The connection is closed now; what is under way is told. */
  readonly cut: () => void;
}

export interface SocketLimits {
  /** One message. */
  readonly messageLimitBytes: number;
  /** The budget for what is received. */
  readonly incoming: HeldBytes;
  /** The budget for the answers of this process. */
  readonly answers: HeldBytes;
  readonly heartbeatMs: number;
  readonly idleMs?: number;
  readonly lifeMs?: number;
}

export class MessageSocket implements Sink {
  readonly #ws: WebSocket;
  readonly #socket: Socket;
  readonly #log: Logger;
  readonly #idleMs: number;
  readonly #outgoing: HeldShare;
  readonly #incoming: HeldShare;
  readonly #limitBytes: number;
  readonly #timers: readonly NodeJS.Timeout[];
  /** What the streams of this connection hold of their runs. */
  #besideBytes = 0;
  /** Of messages that are being served. */
  #servedBytes = 0;
  /** Of the message that is coming. */
  #comingBytes = 0;
  #silentBeats = 0;
  #untaken = 0;
  #server: SocketServer | null = null;

  constructor(ws: WebSocket, socket: Socket, options: SocketLimits & { readonly log: Logger }) {
    const { messageLimitBytes, incoming, answers, heartbeatMs, idleMs = IDLE_MS, lifeMs = LIFE_MS } = options;
    this.#ws = ws;
    this.#socket = socket;
    this.#log = options.log;
    this.#idleMs = idleMs;
    this.#limitBytes = messageLimitBytes;
    this.#outgoing = answers.open();
    this.#incoming = incoming.open();
    socket.setNoDelay(true);
    this.#timers = [
      setInterval(() => this.#beat(), heartbeatMs),
      setTimeout(() => this.retire('time'), lifeMs),
    ];
    ws.on('error', (err) => this.#log.debug({ err }, 'a client broke the protocol of WebSockets'));
    socket.once('close', () => this.#closed());
  }

  /** Begins to read what comes. */
  serveBy(server: SocketServer): void {
    this.#server = server;
    // Before the library, which tells of a message while it is given its last bytes.
    this.#socket.prependListener('data', (bytes: Buffer) => this.#count(bytes.length));
    this.#ws.on('message', (data, isBinary) => {
      // Buffers, because nothing else was asked for.
      if (Buffer.isBuffer(data)) this.#hear(server, data, isBinary);
    });
  }

  get isGone(): boolean {
    return this.#socket.destroyed || this.#ws.readyState !== this.#ws.OPEN;
  }

  /** Sends messages, one below the other. */
  write(lines: string): boolean | Promise<boolean> {
    if (this.isGone) return false;
    const bytes = Buffer.byteLength(lines);
    return this.#hold(bytes) ? this.#send(lines) : this.#sendInTime(lines, bytes);
  }

  /** Sends a message that nobody waits for. A client that takes none of them, and makes for more, is given up. */
  tell(line: string): void {
    const sent = this.write(line);
    if (typeof sent === 'boolean') return;
    this.#untaken += 1;
    if (this.#untaken > MAX_UNTAKEN) this.#giveUp();
    void sent.then(() => (this.#untaken -= 1));
  }

  #giveUp(): void {
    this.#log.info('a reader did not drain its socket; leaving it');
    this.#ws.terminate();
  }

  /** Sends all texts, each of one or more messages, as far as the client takes them. */
  async stream(texts: Passing<string>): Promise<void> {
    const isTaken = await pour(texts, this);
    if (isTaken || this.isGone) return;
    this.#giveUp();
  }

  /**
   * Takes room for what a stream holds beside its messages. @returns how it is given back
   * @throws {ApiError} 503 when there is none.
   */
  admitBeside(bytes: number): () => void {
    this.#besideBytes += bytes;
    const release = (): void => {
      this.#besideBytes -= bytes;
      this.#hold(0);
    };
    if (this.#hold(0)) return release;
    this.#besideBytes -= bytes;
    throw answersFull();
  }

  /** Ends the connection. @param code of the protocol of WebSockets */
  close(code: number = NORMAL, reason: string = ''): void {
    this.#ws.close(code, reason);
  }

  /** No further work is taken. */
  retire(why: Retirement): void {
    this.#server?.retire(why);
  }

  /** Closes the connection in the middle of what is under way, and does not wait for its client. */
  cut(): void {
    this.#server?.cut();
    this.#ws.close(GOING_AWAY, 'The server stops.');
    setTimeout(() => this.#ws.terminate(), CLOSE_MS).unref();
  }

  #hear(server: SocketServer, data: Buffer, isBinary: boolean): void {
    // What had come before it was given up.
    if (this.isGone) return;
    const bytes = this.#comingBytes;
    this.#comingBytes = 0;
    const refusal = refusalOf(data, isBinary, this.#limitBytes);
    if (refusal !== null) {
      this.#incoming.resize(this.#servedBytes);
      server.refuse(refusal);
      return;
    }
    this.#servedBytes += bytes;
    let isHeld = true;
    server.hear(data.toString('utf8'), () => {
      if (!isHeld) return;
      isHeld = false;
      this.#servedBytes -= bytes;
      this.#incoming.resize(this.#servedBytes + this.#comingBytes);
    });
  }

  /** Counts what comes. The message of which it is a part may be far from its end. */
  #count(bytes: number): void {
    this.#silentBeats = 0;
    this.#comingBytes += bytes;
    if (this.isGone) return;
    if (this.#incoming.resize(this.#servedBytes + this.#comingBytes)) return;
    this.#server?.refuse(bodiesFull());
    this.close(TRY_LATER, 'Too many large messages.');
  }

  #send(lines: string): boolean | Promise<boolean> {
    const onTaken = this.#outgoing.counts ? this.#onTaken : undefined;
    for (const line of lines.split('\n')) if (line !== '') this.#ws.send(line, onTaken);
    return this.#socket.writableNeedDrain ? this.#drained() : true;
  }

  async #sendInTime(lines: string, bytes: number): Promise<boolean> {
    const hasRoom = await inTime(this.#socket, this.#idleMs, (done) =>
      this.#outgoing.onRoom(() => this.#hold(bytes) && done()),
    );
    return hasRoom && !this.isGone && this.#send(lines);
  }

  async #drained(): Promise<boolean> {
    return inTime(this.#socket, this.#idleMs, (done) => {
      this.#socket.on('drain', done);
      return () => this.#socket.off('drain', done);
    });
  }

  readonly #onTaken = (): void => void this.#hold(0);

  #hold(more: number): boolean {
    return this.#outgoing.resize(this.#besideBytes + this.#ws.bufferedAmount + more);
  }

  /** Asks for a sign of life: between two networks, a connection can be gone without a word. */
  #beat(): void {
    this.#silentBeats += 1;
    if (this.#silentBeats > SILENT_BEATS) this.#ws.terminate();
    else if (!this.isGone && !this.#socket.writableNeedDrain) this.#ws.ping();
  }

  #closed(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#outgoing.close();
    this.#incoming.close();
  }
}

/** Why a message cannot be read; null where it can. */
function refusalOf(data: Buffer, isBinary: boolean, limitBytes: number): ApiError | null {
  if (data.length > limitBytes) return bodyTooLarge(limitBytes);
  if (!isBinary) return null;
  const text = 'This server takes text messages only. Send the JSON as text, not as a binary message.';
  return new ApiError(400, text, { code: 'invalid_message' });
}

/** One connection to the service, byte by byte: HTTP clients would mend what is to arrive broken. */
import { connect, type Socket } from 'node:net';
import type { Attack } from './attack.ts';

/** An answer. */
export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** Nothing is missing of it. */
  readonly whole: boolean;
}

/** What became of a request: its answers, and how the connection was left. */
export interface Exchange {
  readonly answers: readonly Answer[];
  readonly left: 'open' | 'closed by us' | 'closed by them' | 'silent';
}

/** No request takes as long, whatever else the machine does; who waits longer waits for ever. */
const SILENT_MS = 60_000;
/** A stream that says nothing for so long waits for something; it is dropped, as clients do. */
const STREAM_IDLE_MS = 300;

class Closed extends Error {}
class Silent extends Error {}

export class Connection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #ended = false;
  #came = Promise.withResolvers<void>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (data) => {
      this.#received = this.#received.length === 0 ? data : Buffer.concat([this.#received, data]);
      this.#wake();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    socket.on('end', end).on('close', end).on('error', end);
  }

  static async open(port: number): Promise<Connection> {
    // The other side may leave while we still send.
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new Connection(socket);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Whether it can carry another request. */
  get isOpen(): boolean {
    return !this.#ended && !this.#socket.destroyed && this.#received.length === 0;
  }

  /** Sends a request as it wants to be sent, and reads what is answered. */
  async send({ bytes, manner, method, upTo }: Attack): Promise<Exchange> {
    const answers: Answer[] = [];
    this.#socket.write(bytes);
    if (manner === 'cut') this.#socket.end();
    try {
      if (manner === 'hang up') {
        await this.#until(() => this.#received.length > upTo || this.#ended);
        return { answers, left: 'closed by us' };
      }
      const wanted = manner === 'pipelined' ? 2 : 1;
      while (answers.length < wanted) {
        const answer = await this.#answer(method === 'HEAD' && answers.length === 0, upTo);
        answers.push(answer);
        if (!answer.whole) return { answers, left: 'closed by us' };
        if (answer.headers.get('connection') === 'close') break;
      }
      return { answers, left: this.isOpen && manner !== 'cut' ? 'open' : 'closed by us' };
    } catch (error) {
      return { answers, left: error instanceof Silent ? 'silent' : 'closed by them' };
    }
  }

  async #answer(bodiless: boolean, upTo: number): Promise<Answer> {
    const head = (await this.#through('\r\n\r\n')).toString('latin1');
    const [first = '', ...lines] = head.split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
    if (status >= 100 && status < 200) return this.#answer(bodiless, upTo);
    const headers = new Map(
      lines
        .filter((line) => line !== '')
        .map((line) => {
          const colon = line.indexOf(':');
          return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
        }),
    );
    if (bodiless || status === 204 || status === 304) return { status, headers, body: '', whole: true };
    const isStream = headers.get('content-type')?.startsWith('text/event-stream') ?? false;
    const [body, whole] = await this.#body(headers, isStream ? upTo : null);
    return { status, headers, body: body.toString('utf8'), whole };
  }

  /** @param frames how many frames of a stream are read at most; null for what is no stream */
  async #body(
    headers: ReadonlyMap<string, string>,
    frames: number | null,
  ): Promise<readonly [Buffer, boolean]> {
    const length = headers.get('content-length');
    if (length !== undefined) return [await this.#take(Number(length)), true];
    if (headers.get('transfer-encoding') !== 'chunked') {
      await this.#until(() => this.#ended);
      return [this.#received, true];
    }
    const parts: Buffer[] = [];
    const most = frames ?? Infinity;
    for (let chunks = 0; chunks < most; chunks += 1) {
      const waits = most < Infinity && this.#received.length === 0;
      if (waits && !(await this.#comesWithin(STREAM_IDLE_MS))) break;
      const size = Number.parseInt((await this.#through('\r\n')).toString('latin1'), 16);
      parts.push(await this.#take(size));
      await this.#take(2);
      if (size === 0) return [Buffer.concat(parts), true];
    }
    return [Buffer.concat(parts), false];
  }

  async #through(mark: string): Promise<Buffer> {
    await this.#until(() => this.#received.includes(mark));
    return this.#take(this.#received.indexOf(mark) + mark.length);
  }

  async #take(length: number): Promise<Buffer> {
    await this.#until(() => this.#received.length >= length);
    const taken = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return taken;
  }

  /** @throws {Closed} when the connection ends before; {Silent} when nothing comes any more. */
  async #until(isThere: () => boolean): Promise<void> {
    while (!isThere()) {
      if (this.#ended) throw new Closed();
      if (!(await this.#comesWithin(SILENT_MS))) throw new Silent();
    }
  }

  /** Whether anything comes before the time is over. */
  async #comesWithin(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, ms, false);
    });
    const came = await Promise.race([this.#came.promise.then(() => true), over]);
    clearTimeout(timer);
    return came;
  }

  #wake(): void {
    this.#came.resolve();
    this.#came = Promise.withResolvers();
  }
}

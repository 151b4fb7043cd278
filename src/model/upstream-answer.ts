/**
 * One request to an upstream and its answer as bytes, straight from undici's dispatcher: without the streams that `fetch`
 * puts between the socket and who reads, which cost more than all that is done here with a token
 * (docs/decisions/0003-raw-upstream-stream.md). Redirects are not followed: they would send the conversation and the key to
 * an address that the operator has not named, and what it answers would count as the model's words.
 */
import { globalAgent, type IncomingHttpHeaders } from 'node:http';
import type { Transform } from 'node:stream';
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib';
import { Agent, EnvHttpProxyAgent, errors, type Dispatcher } from 'undici';
import { isRecord } from '../runs/record.ts';

/** How much of an answer may wait for its reader; then its connection pauses. */
const MAX_AHEAD_BYTES = 64 * 1024;

/** Its own limits are off: those of each upstream are watched by who asks. */
const OPTIONS = { headersTimeout: 0, bodyTimeout: 0, allowH2: false };

/**
 * A person who speaks with a model pauses for longer than undici's 4 s, and a new connection takes two or three trips to the
 * server. Networks forget silent connections after some minutes. A server that names a shorter time is believed.
 */
const KEPT_MS = 60_000;

/** What Node's own agent is made with; Node puts the proxies of the environment there, if it was told to use them. */
const settings: unknown = Reflect.get(globalAgent, 'options');
const usesProxies = isRecord(settings) && settings['proxyEnv'] !== undefined;
const connections = (options: Agent.Options): Dispatcher =>
  usesProxies ? new EnvHttpProxyAgent(options) : new Agent(options);
/** The connections to all upstreams. */
const CONNECTIONS = connections({ ...OPTIONS, keepAliveTimeout: KEPT_MS });
/** Those of requests that cannot be sent again, should the upstream close a kept connection in that moment. */
export const ONE_TRY_CONNECTIONS = connections(OPTIONS);

const ZLIB = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH };
const BROTLI = {
  flush: constants.BROTLI_OPERATION_FLUSH,
  finishFlush: constants.BROTLI_OPERATION_FLUSH,
};

/** Does something with a packet in the moment it comes. It must not throw. @returns whether it wants the next one as well */
export type TakePacket = (packet: Buffer) => boolean;

/** What unpacks a body as it comes. @param first its first packet */
type Unpack = (first: Uint8Array) => Transform;

/** By the encodings of bodies. */
const UNPACK: ReadonlyMap<string, Unpack> = new Map<string, Unpack>([
  ['gzip', () => createGunzip(ZLIB)],
  ['x-gzip', () => createGunzip(ZLIB)],
  ['deflate', (first) => (isWrapped(first) ? createInflate(ZLIB) : createInflateRaw(ZLIB))],
  ['br', () => createBrotliDecompress(BROTLI)],
  ['zstd', () => createZstdDecompress()],
]);

/** Whether what is deflated begins with zlib's header, as the standard says; some servers leave it out. */
const isWrapped = ([byte = 0]: Uint8Array): boolean => (byte & 0x0f) === 8;

/** How a body is unpacked; null where it comes as it is, or in a way that nobody here knows. */
function unpackOf(headers: IncomingHttpHeaders): Unpack | null {
  // A list where it is said twice, by a server and the proxy before it.
  const said: string | readonly string[] = headers['content-encoding'] ?? '';
  const names =
    [said]
      .flat()
      .join(',')
      .toLowerCase()
      .match(/[^\s,]+/g) ?? [];
  const [name, ...more] = names.filter((each) => each !== 'identity');
  return name === undefined || more.length > 0 ? null : (UNPACK.get(name) ?? null);
}

/** Where a request goes, and what it says. */
export interface UpstreamRequest {
  readonly address: URL;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** The beginning of an answer. */
export interface Head {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** Whether an error ended a connection that had brought something before. */
const wasKept = (error: Error): boolean =>
  error instanceof errors.SocketError && (error.socket?.bytesRead ?? 0) > 0;

/** What `read` gives when all that came was taken as it came. */
const NOTHING_MORE = Buffer.alloc(0);

/** Owns the connection until the answer has come to its end; then it serves the next request. */
export class UpstreamAnswer {
  #controller: Dispatcher.DispatchController | null = null;
  #unpack: Unpack | null = null;
  /** What unpacks the body, from its first packet on. */
  #unpacking: Transform | null = null;
  #head: Head | null = null;
  /** What has come and was not read yet. */
  readonly #packets: Buffer[] = [];
  #aheadBytes = 0;
  #isPaused = false;
  #isEnded = false;
  /** Why nothing more will come; null as long as more may. */
  #failure: Error | null = null;
  /** Takes packets as they come, while they are waited for. */
  #takes: TakePacket | null = null;
  /** Wakes who waits for what comes next. */
  #wake: (() => void) | null = null;
  /** Sends the request once more; null when it was. */
  #again: (() => void) | null;

  /** Sends the request. What goes wrong is told to who waits for the answer. */
  constructor(request: UpstreamRequest) {
    this.#again = () => this.#send(request);
    this.#send(request);
  }

  #send({ address, method, headers, body }: UpstreamRequest): void {
    CONNECTIONS.dispatch(
      {
        origin: address.origin,
        path: address.pathname + address.search,
        method,
        // What is read piece by piece should not be packed. Some servers do it all the same.
        headers: { ...headers, 'accept-encoding': 'identity' },
        body: body ?? null,
      },
      {
        onRequestStart: (controller) => this.#started(controller),
        onResponseStart: (_controller, status, answered) => this.#begun({ status, headers: answered }),
        onResponseData: (controller, packet) => {
          if (this.#unpack === null) this.#take(packet);
          else if (!this.#unpacked(this.#unpack, packet).write(packet)) controller.pause();
        },
        onResponseEnd: () => {
          if (this.#unpacking === null) this.#end();
          else this.#unpacking.end();
        },
        onResponseError: (_controller, error) => this.#broke(error),
      },
    );
  }

  /** An upstream may close a connection that was kept while the next request is on its way: that is sent by another one. */
  #broke(error: Error): void {
    const send = this.#again;
    if (send === null || this.#head !== null || this.#failure !== null || !wasKept(error))
      return this.#fail(error);
    this.#again = null;
    send();
  }

  /** The head of the answer. @throws what has kept it from coming. */
  async head(): Promise<Head> {
    while (this.#head === null) {
      if (this.#failure !== null) throw this.#failure;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#head;
  }

  /**
   * The next bytes of the body; null after its end.
   * @param take is given the packets for which it would have to wait, as they come; without it they are returned. Nothing is
   *   returned as long as it goes on, and then no bytes.
   * @throws what has kept the rest from coming.
   */
  async read(take: TakePacket | null = null): Promise<Buffer | null> {
    for (;;) {
      const packet = this.#packets.shift();
      if (packet !== undefined) {
        this.#aheadBytes -= packet.length;
        if (this.#isPaused && this.#packets.length === 0) this.#resume();
        return packet;
      }
      if (this.#failure !== null) throw this.#failure;
      if (this.#isEnded) return null;
      this.#takes = take;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** The first `limitBytes` of the body as text; the rest is not read. */
  async text(limitBytes: number): Promise<string> {
    const packets: Uint8Array[] = [];
    let size = 0;
    for (let packet = await this.read(); packet !== null; packet = await this.read()) {
      packets.push(packet);
      size += packet.length;
      if (size < limitBytes) continue;
      this.abort();
      break;
    }
    return Buffer.concat(packets).toString();
  }

  /** Closes the connection, unless the answer has come to its end. */
  abort(): void {
    if (this.#isEnded || this.#failure !== null) return;
    this.#fail(new DOMException('The request was aborted.', 'AbortError'));
  }

  #started(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // It may have been given up while it waited for a connection.
    if (this.#failure !== null) controller.abort(this.#failure);
  }

  #begun(head: Head): void {
    const { status, headers } = head;
    if (status < 200) return;
    this.#head = head;
    this.#unpack = unpackOf(headers);
    this.#tell();
  }

  #unpacked(unpack: Unpack, first: Uint8Array): Transform {
    this.#unpacking ??= unpack(first)
      .on('data', (packet: Buffer) => this.#take(packet))
      .on('drain', () => this.#controller?.resume())
      .on('end', () => this.#end())
      .on('error', (error) => this.#fail(error));
    return this.#unpacking;
  }

  #take(packet: Buffer): void {
    if (this.#takes === null) {
      this.#packets.push(packet);
      this.#aheadBytes += packet.length;
    } else {
      if (this.#takes(packet)) return;
      this.#packets.push(NOTHING_MORE);
    }
    if (this.#aheadBytes > MAX_AHEAD_BYTES) {
      this.#isPaused = true;
      (this.#unpacking ?? this.#controller)?.pause();
    }
    this.#tell();
  }

  #resume(): void {
    this.#isPaused = false;
    (this.#unpacking ?? this.#controller)?.resume();
  }

  #end(): void {
    this.#isEnded = true;
    this.#tell();
  }

  #fail(error: Error): void {
    if (this.#isEnded || this.#failure !== null) return;
    this.#failure = error;
    this.#unpacking?.destroy();
    this.#controller?.abort(error);
    this.#tell();
  }

  #tell(): void {
    this.#takes = null;
    this.#wake?.();
    this.#wake = null;
  }
}

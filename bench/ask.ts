/** Asks an arm, and reads what comes back: when the first word came, how far apart the words were, and whether all came in order. */
import { Agent, request, type IncomingMessage } from 'node:http';

/** One way to the paced model server. */
export interface Arm {
  readonly name: string;
  /** Everything before the path. */
  readonly base: string;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** How many tokens the model says; null where nobody counts. */
  readonly tokens: number | null;
  /** The path has `{thread}`: a new thread for each request, made before the clock starts. */
  readonly needsThread?: boolean;
}

/** What one streamed answer was like. Times in milliseconds. */
export interface Answer {
  readonly firstMs: number;
  readonly totalMs: number;
  /** The time between neighbouring tokens. */
  readonly gapsMs: readonly number[];
  readonly tokens: number;
  /** Tokens that were lost, doubled or out of order. */
  readonly wrong: number;
}

const agent = new Agent({
  keepAlive: true,
  maxSockets: Infinity,
  maxFreeSockets: 10_000,
  scheduling: 'lifo',
});

/** Sends JSON and reads JSON. @throws for a status of 400 and above. */
export async function call(base: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const response = await send(base, path, body === undefined ? null : JSON.stringify(body), {});
  let text = '';
  response.setEncoding('utf8');
  for await (const packet of response) text += String(packet);
  if ((response.statusCode ?? 500) >= 400)
    throw new Error(`${base}${path} answered ${response.statusCode}: ${text.slice(0, 200)}`);
  const value: unknown = JSON.parse(text);
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

/** Asks once and reads the stream to its end. @throws when it has no word, or an error in it. */
export async function ask(
  arm: Arm,
  { keepGaps = false }: { readonly keepGaps?: boolean } = {},
): Promise<Answer> {
  const thread = arm.needsThread === true ? await newThread(arm) : '';
  const path = arm.path.replace('{thread}', thread);
  const startMs = performance.now();
  const response = await send(arm.base, path, JSON.stringify(arm.body), arm.headers ?? {});
  response.setEncoding('latin1');
  const reader = new TokenReader(startMs, keepGaps);
  let rest = '';
  for await (const packet of response) {
    const atMs = performance.now();
    const text = rest + String(packet);
    const cut = text.lastIndexOf('\n\n');
    rest = cut < 0 ? text : text.slice(cut + 2);
    if (cut >= 0) reader.read(text.slice(0, cut), atMs);
  }
  if ((response.statusCode ?? 500) >= 400)
    throw new Error(`${arm.name} answered ${response.statusCode}: ${rest.slice(0, 200)}`);
  return reader.answer(arm.tokens);
}

async function newThread({ base }: Arm): Promise<string> {
  const { id, thread_id } = await call(base, '/threads', {});
  return String(id ?? thread_id);
}

/** What a piece of an answer says of itself: the Assistants API, chats, LangGraph. */
const DELTAS = ['.delta"', 'completion.chunk', 'AIMessageChunk'];

/** Finds the numbered tokens in the deltas of a stream. Final objects, which repeat the whole text, are passed over. */
class TokenReader {
  readonly #startMs: number;
  readonly #keepGaps: boolean;
  #firstMs = 0;
  #lastMs = 0;
  #next = 0;
  #tokens = 0;
  #wrong = 0;
  readonly #gapsMs: number[] = [];

  constructor(startMs: number, keepGaps: boolean) {
    this.#startMs = startMs;
    this.#keepGaps = keepGaps;
  }

  read(frames: string, atMs: number): void {
    if (frames.includes('"error":{')) throw new Error(frames.slice(0, 300));
    for (const line of frames.split('\n')) {
      if (!line.startsWith('data: ')) continue;
      if (!DELTAS.some((mark) => line.includes(mark))) continue;
      const from = line.indexOf('" w');
      if (from < 0) continue;
      const words = line.slice(from + 1, line.indexOf('"', from + 1)).split(' w');
      for (const word of words) if (word !== '') this.#token(Number(word), atMs);
    }
  }

  #token(index: number, atMs: number): void {
    if (this.#tokens === 0) this.#firstMs = atMs - this.#startMs;
    else if (this.#keepGaps) this.#gapsMs.push(atMs - this.#lastMs);
    this.#lastMs = atMs;
    if (index !== this.#next) this.#wrong += 1;
    this.#next = index + 1;
    this.#tokens += 1;
  }

  /** @param expected how many tokens there should have been */
  answer(expected: number | null): Answer {
    if (this.#tokens === 0) throw new Error('the answer ended without a word.');
    if (expected !== null) this.#wrong += Math.max(0, expected - this.#next);
    const totalMs = performance.now() - this.#startMs;
    return {
      firstMs: this.#firstMs,
      totalMs,
      gapsMs: this.#gapsMs,
      tokens: this.#tokens,
      wrong: this.#wrong,
    };
  }
}

async function send(
  base: string,
  path: string,
  body: string | null,
  headers: Readonly<Record<string, string>>,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = request(
    `${base}${path}`,
    {
      method: body === null ? 'GET' : 'POST',
      agent,
      headers: {
        'content-type': 'application/json',
        authorization: 'Bearer bench',
        ...(body !== null && { 'content-length': Buffer.byteLength(body) }),
        ...headers,
      },
    },
    resolve,
  );
  outgoing.setNoDelay(true);
  outgoing.on('error', reject);
  outgoing.end(body ?? undefined);
  return await promise;
}

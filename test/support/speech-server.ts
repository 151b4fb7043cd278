/**
 * A server that speaks: real HTTP, OpenAI's `/v1/audio/speech`, PCM of 16 bits at 24 kHz. It keeps what it was asked, and how
 * many answers were open at once. Each text is a tone, unless a test answers by hand.
 */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { z } from 'zod';
import { sendJson } from './endpoints.ts';

export const RATE = 24_000;
const CHUNK_BYTES = 4_000;
/** Whole waves in every 40 ms, so that the tones of sentences go on in each other. */
export const TONE_HZ = 500;
const MS_PER_CHARACTER = 10;

const bodySchema = z.looseObject({
  model: z.string(),
  input: z.string().min(1),
  voice: z.union([z.string(), z.looseObject({ id: z.string() })]),
  response_format: z.string(),
});

/** One text that was asked for. */
export interface AskedSound {
  readonly body: z.infer<typeof bodySchema>;
  readonly headers: IncomingHttpHeaders;
  /** Who ended the answer: the server when it was complete, or the client before that. */
  readonly closed: Promise<'client' | 'server'>;
}

type Act = (asked: AskedSound, response: ServerResponse) => unknown;

export class SpeechServer {
  /** Every request so far, in order of arrival. */
  readonly asked: AskedSound[] = [];
  /** The most answers that were open at once. */
  mostOpen = 0;
  readonly #server = createServer((request, response) => {
    // Its models, for those who take it for any model server.
    if (request.method === 'GET') return sendJson(response, 200, { object: 'list', data: [] });
    json(request)
      .then(async (body) => this.#answer(request.url ?? '', body, request.headers, response))
      .catch((error: unknown) => {
        if (!response.destroyed) this.#problems.push(error);
        response.destroy();
      });
  });
  #open = 0;
  #act: Act = tell;
  #arrival = Promise.withResolvers<void>();
  readonly #problems: unknown[] = [];

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get baseUrl(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the server is stopped');
    return `http://127.0.0.1:${address.port}/v1`;
  }

  /** The texts that were asked for since the last `forget`. */
  get texts(): readonly string[] {
    return this.asked.map(({ body }) => body.input);
  }

  forget(): void {
    this.asked.length = 0;
    this.mostOpen = 0;
  }

  /** Until the test ends, requests are answered like this. */
  reply(act: Act): void {
    this.#act = act;
    onTestFinished(() => void (this.#act = tell));
  }

  /** Resolves when so many texts have been asked for. The test's own time limit bounds the wait. */
  async askedFor(count: number): Promise<void> {
    while (this.asked.length < count) await this.#arrival.promise;
  }

  /** @throws errors of the tests' replies, so that they cannot pass unnoticed. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    if (this.#problems.length > 0)
      throw new AggregateError(this.#problems, 'the speech server could not answer');
  }

  async #answer(
    url: string,
    body: unknown,
    headers: IncomingHttpHeaders,
    response: ServerResponse,
  ): Promise<void> {
    if (url !== '/v1/audio/speech') throw new Error(`there is no ${url} here`);
    const closed = new Promise<'client' | 'server'>((resolve) => {
      response.once('close', () => {
        this.#open -= 1;
        resolve(response.writableFinished ? 'server' : 'client');
      });
    });
    this.#open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.#open);
    const asked = { body: bodySchema.parse(body), headers, closed };
    this.asked.push(asked);
    this.#arrival.resolve();
    this.#arrival = Promise.withResolvers();
    await this.#act(asked, response);
  }
}

/** A tone at the server's rate. */
export function tone(hz: number, ms: number): Buffer {
  const sound = Buffer.alloc(Math.round((RATE * ms) / 1_000) * 2);
  for (let at = 0; at < sound.length / 2; at += 1)
    sound.writeInt16LE(Math.round(20_000 * Math.sin((2 * Math.PI * hz * at) / RATE)), at * 2);
  return sound;
}

/** How loud a tone is in a sound, as a share of what {@link tone} makes. */
export function loudness(sound: Buffer, hz: number, rate: number): number {
  const count = sound.length / 2;
  let real = 0;
  let imaginary = 0;
  for (let at = 0; at < count; at += 1) {
    const angle = (2 * Math.PI * hz * at) / rate;
    real += sound.readInt16LE(at * 2) * Math.cos(angle);
    imaginary += sound.readInt16LE(at * 2) * Math.sin(angle);
  }
  return (2 * Math.hypot(real, imaginary)) / count / 20_000;
}

/** Answers with a sound, in chunks, waiting for a reader that is slow. */
export async function play(response: ServerResponse, sound: Buffer): Promise<void> {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'audio/pcm' });
  for (let at = 0; at < sound.length && !response.destroyed; at += CHUNK_BYTES) {
    const isTaken = response.write(sound.subarray(at, at + CHUNK_BYTES));
    if (!isTaken) await Promise.race([once(response, 'drain'), once(response, 'close')]);
  }
  response.end();
}

/** How long the tone for a text is. */
export const lengthMs = (text: string): number => text.length * MS_PER_CHARACTER;

async function tell({ body }: AskedSound, response: ServerResponse): Promise<void> {
  await play(response, tone(TONE_HZ, lengthMs(body.input)));
}

/** Refuses in OpenAI's envelope. */
export function refuse(
  response: ServerResponse,
  status: number,
  message: string,
  param: string | null = null,
): void {
  sendJson(response, status, { error: { message, type: 'invalid_request_error', param, code: null } });
}

/**
 * One client's line to the service through the official SDK: asks again as sdk.ts does, at the next API process and with the same
 * `Idempotency-Key`. The SDK's own retries would stay with one process, and end before the faults do.
 */
import { randomUUID } from 'node:crypto';
import OpenAI, { APIError } from 'openai';
import { isPassing, untilAskedAgain, type Traffic } from './sdk.ts';

/** One request, made with these options. */
type Request<T> = (client: OpenAI, options: OpenAI.RequestOptions) => PromiseLike<T>;

export class OfficialSdk {
  readonly #clients: readonly OpenAI[];
  readonly #traffic: Traffic;
  readonly #gone: AbortSignal;
  #next: number;

  /** @param first the API process it asks first. @param gone ends its patience. */
  constructor(origins: readonly string[], first: number, traffic: Traffic, gone: AbortSignal) {
    this.#clients = origins.map(officialClient);
    this.#next = first;
    this.#traffic = traffic;
    this.#gone = gone;
  }

  /**
   * Asks until there is an answer that means something.
   * @param key a request that was sent before is sent again with its key
   * @throws the SDK's error for a refusal.
   */
  async ask<T>(request: Request<T>, key: string = randomUUID()): Promise<T> {
    const options = { headers: { 'idempotency-key': key }, signal: this.#gone };
    for (;;) {
      this.#gone.throwIfAborted();
      try {
        const answer = await request(this.#client(), options);
        this.#traffic.count(200);
        return answer;
      } catch (error) {
        if (!(error instanceof APIError) || !isPassing(statusOf(error))) throw error;
        const given: unknown = Reflect.get(error, 'headers');
        const headers = given instanceof Headers ? given : undefined;
        if (headers === undefined) this.#traffic.count(0);
        else this.#traffic.hear('openai', { status: statusOf(error), headers, text: error.message });
        await untilAskedAgain(headers);
      }
    }
  }

  #client(): OpenAI {
    const client = this.#clients[this.#next++ % this.#clients.length];
    if (client === undefined) throw new Error('there is no API');
    return client;
  }
}

/** A client of one API process that asks once. */
export const officialClient = (origin: string): OpenAI =>
  new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'none', maxRetries: 0 });

/** 0 for a connection that broke. */
const statusOf = ({ status }: { readonly status?: number | undefined }): number => status ?? 0;

/** Reads a stream until it ends, breaks off, or `hear` has heard enough. @throws for what is no event. */
export async function readUntil<T>(stream: AsyncIterable<T>, hear: (event: T) => boolean): Promise<void> {
  try {
    for await (const event of stream) if (hear(event)) return;
  } catch (error) {
    // What is left is a connection that broke, or a server that says that it breaks off.
    if (error instanceof SyntaxError) throw error;
  }
}

/** A device as firmware talks: it posts JSON, and reads `data:` lines as they come or an answer as a whole. */
import { z } from 'zod';

const callSchema = z.object({
  index: z.number(),
  id: z.string(),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string(), parameters: z.string() }),
});
const chunkSchema = z.looseObject({
  id: z.string(),
  object: z.literal('chat.completion.chunk'),
  created: z.number(),
  model: z.string(),
  system_fingerprint: z.string(),
  choices: z.array(
    z.object({
      index: z.literal(0),
      delta: z.object({
        role: z.literal('assistant').optional(),
        content: z.string().nullish(),
        tool_calls: z.array(callSchema).optional(),
      }),
      logprobs: z.null(),
      finish_reason: z.string().nullable(),
    }),
  ),
});
const wholeSchema = z.looseObject({
  id: z.string(),
  model: z.string(),
  choices: z.tuple([
    z.looseObject({
      message: z.looseObject({ role: z.literal('assistant'), content: z.string().nullable() }),
      finish_reason: z.string(),
    }),
  ]),
});

export type Chunk = z.infer<typeof chunkSchema>;

/** An answer that has ended. */
export interface Heard {
  readonly status: number;
  readonly contentType: string | null;
  /** The body as it came. */
  readonly raw: string;
  /** The data of its `data:` lines, as JSON, without the closing `[DONE]`. */
  readonly data: readonly unknown[];
  readonly isDone: boolean;
}

const DATA = /^data: (.+)$/;

export class Device {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;

  /** @param url as somebody types it into the device's app */
  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    this.#url = url;
    this.#headers = headers;
  }

  /** Sends a request and listens to the end. A string is sent as it is, anything else as JSON. */
  async ask(body: unknown): Promise<Heard> {
    const response = await this.#post(body, null);
    const raw = await response.text();
    const lines = raw.split('\n').flatMap((line) => DATA.exec(line)?.[1] ?? []);
    const data = lines.filter((line) => line !== '[DONE]').map((line): unknown => JSON.parse(line));
    const contentType = response.headers.get('content-type');
    return { status: response.status, contentType, raw, data, isDone: lines.at(-1) === '[DONE]' };
  }

  /** Sends a request and listens as the answer comes. */
  async listen(body: unknown): Promise<Listening> {
    const hangUp = new AbortController();
    return new Listening(await this.#post(body, hangUp.signal), hangUp);
  }

  #post(body: unknown, signal: AbortSignal | null): Promise<Response> {
    return fetch(this.#url, {
      method: 'POST',
      signal,
      headers: { 'content-type': 'application/json', ...this.#headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  }
}

/** An answer that is still coming. */
export class Listening {
  readonly #hangUp: AbortController;
  readonly #data: AsyncGenerator<string, void>;

  constructor(response: Response, hangUp: AbortController) {
    this.#hangUp = hangUp;
    this.#data = dataOf(response);
  }

  /** The next chunk; null at the end. */
  async chunk(): Promise<Chunk | null> {
    const { value, done } = await this.#data.next();
    return done === true || value === '[DONE]' ? null : chunkSchema.parse(JSON.parse(value));
  }

  /** What the next chunk says; null at the end. */
  async next(): Promise<string | null> {
    const chunk = await this.chunk();
    return chunk === null ? null : textIn([chunk]);
  }

  /** All the words that are still to come. */
  async rest(): Promise<string> {
    let text = '';
    for (let said = await this.next(); said !== null; said = await this.next()) text += said;
    return text;
  }

  /** Closes the connection. */
  close(): void {
    this.#hangUp.abort();
  }
}

async function* dataOf(response: Response): AsyncGenerator<string, void> {
  if (response.body === null) throw new Error('the answer has no body');
  let pending = '';
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (pending + text).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) {
      const data = DATA.exec(line)?.[1];
      if (data !== undefined) yield data;
    }
  }
}

/** The chunks of an answer. @throws when one lacks what devices read. */
export function chunksIn(data: readonly unknown[]): readonly Chunk[] {
  return data.map((chunk) => chunkSchema.parse(chunk));
}

/** What the chunks of an answer say. */
export function textIn(data: readonly unknown[]): string {
  return chunksIn(data)
    .flatMap(({ choices }) => choices.map(({ delta }) => delta.content ?? ''))
    .join('');
}

/** Why the answer ended, and the tools it called. */
export function endOf(data: readonly unknown[]): {
  readonly reason: string | null;
  readonly tools: readonly string[];
} {
  const choices = chunksIn(data).flatMap((chunk) => chunk.choices);
  return {
    reason: choices.at(-1)?.finish_reason ?? null,
    tools: choices.flatMap(({ delta }) => delta.tool_calls ?? []).map((call) => call.function.name),
  };
}

/** The text of an answer that came as one object. */
export function wholeText(raw: string): string | null {
  return wholeSchema.parse(JSON.parse(raw)).choices[0].message.content;
}

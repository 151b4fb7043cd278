/**
 * The service's HTTP interface without an SDK in between: exact statuses, headers and bodies, and event streams frame
 * by frame. Waits by following runs, never by a clock. Owns the streams that it opens, until they end or until `close`.
 */
import { z } from 'zod';

/** An answer as it came; `body` is undefined where it is not JSON. */
export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: unknown;
}

export interface AskOptions {
  /** A string or a form is sent as it is, anything else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Any object with an id. */
const objectSchema = z.looseObject({ id: z.string() });
const pageSchema = z.looseObject({ data: z.array(objectSchema) });
const callSchema = z.object({
  id: z.string(),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
});
const actionSchema = z.object({
  type: z.literal('submit_tool_outputs'),
  submit_tool_outputs: z.object({ tool_calls: z.array(callSchema) }),
});
const runSchema = z.looseObject({
  id: z.string(),
  thread_id: z.string(),
  status: z.string(),
  required_action: actionSchema.nullable(),
  last_error: z.object({ code: z.string(), message: z.string() }).nullable(),
});
const deltaSchema = z.object({
  delta: z.object({ content: z.array(z.looseObject({ text: z.looseObject({ value: z.string() }) })) }),
});
const contentSchema = z.object({
  content: z.array(z.looseObject({ text: z.looseObject({ value: z.string() }) })),
});

export type WireObject = z.infer<typeof objectSchema>;
export type WireRun = z.infer<typeof runSchema>;

/** One frame of an event stream; the data of `done` is the text `[DONE]`. */
export interface Frame {
  readonly id: string | null;
  readonly name: string;
  readonly data: unknown;
}

const RESTING = new Set(['requires_action', 'completed', 'incomplete', 'failed', 'cancelled', 'expired']);

export class Wire {
  readonly #base: string | (() => string);
  readonly #headers: Readonly<Record<string, string>>;

  /** @param base the base of all paths, for example `http://127.0.0.1:41234/v1`; a function is called with each request */
  constructor(base: string | (() => string), headers: Readonly<Record<string, string>> = {}) {
    this.#base = base;
    this.#headers = headers;
  }

  /** Any request, and whatever comes back. */
  async ask(method: string, path: string, { body, headers }: AskOptions = {}): Promise<Reply> {
    const response = await this.#fetch(method, path, { body, headers });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: parsed(text) };
  }

  /** A request that must be answered with 200 and an object. */
  async ok(method: string, path: string, body?: unknown): Promise<WireObject> {
    const reply = await this.ask(method, path, { body });
    if (reply.status !== 200) throw new Error(`${method} ${path} → ${reply.status} ${reply.text}`);
    return objectSchema.parse(reply.body);
  }

  /** The items of a list's first page. */
  async list(path: string): Promise<readonly WireObject[]> {
    return pageSchema.parse((await this.ask('GET', path)).body).data;
  }

  /** A new thread in which the user has said `texts`; its id. */
  async thread(...texts: readonly string[]): Promise<string> {
    const messages = texts.map((content) => ({ role: 'user', content }));
    return (await this.ok('POST', '/threads', { messages })).id;
  }

  /** Creates a run. */
  async run(threadId: string, body: object): Promise<WireRun> {
    return runSchema.parse(await this.ok('POST', `/threads/${threadId}/runs`, body));
  }

  /** A run as it is now. */
  async get({ thread_id, id }: Pick<WireRun, 'thread_id' | 'id'>): Promise<WireRun> {
    return runSchema.parse(await this.ok('GET', `/threads/${thread_id}/runs/${id}`));
  }

  /** The run once it has ended or waits for its client; follows its events until then. */
  async rested(run: Pick<WireRun, 'thread_id' | 'id'>): Promise<WireRun> {
    const events = await this.stream('GET', `/threads/${run.thread_id}/runs/${run.id}/events`);
    try {
      for (;;) {
        const frame = await events.next();
        if (frame === null) throw new Error(`the events of run ${run.id} ended before the run`);
        if (!RESTING.has(frame.name.replace('thread.run.', ''))) continue;
        // The event may be old: the run may have been answered since.
        let now = await this.get(run);
        // Polling clients are shown the new calls a moment later.
        while (now.status === 'queued') now = await this.get(run);
        if (RESTING.has(now.status)) return now;
      }
    } finally {
      events.close();
    }
  }

  /** Creates a run and waits until it rests. */
  async play(threadId: string, body: object): Promise<WireRun> {
    return this.rested(await this.run(threadId, body));
  }

  /** Answers every call of a waiting run with `output`; the run as the submission shows it. */
  async submit(run: WireRun, output: string): Promise<WireRun> {
    const path = `/threads/${run.thread_id}/runs/${run.id}/submit_tool_outputs`;
    return runSchema.parse(await this.ok('POST', path, { tool_outputs: outputsOf(run, output) }));
  }

  /** Opens an event stream. @throws when the answer is not one. */
  async stream(method: string, path: string, options: AskOptions = {}): Promise<EventStream> {
    const hangUp = new AbortController();
    const response = await this.#fetch(method, path, options, hangUp.signal);
    if (response.headers.get('content-type') !== 'text/event-stream; charset=utf-8')
      throw new Error(`${method} ${path} → ${response.status} ${await response.text()}`);
    return new EventStream(response, hangUp);
  }

  async #fetch(
    method: string,
    path: string,
    { body, headers }: AskOptions,
    signal: AbortSignal | null = null,
  ): Promise<Response> {
    const isForm = body instanceof FormData;
    const text = isForm || typeof body === 'string' ? body : JSON.stringify(body);
    return fetch((typeof this.#base === 'string' ? this.#base : this.#base()) + path, {
      method,
      signal,
      headers: {
        ...(text !== undefined && !isForm && { 'content-type': 'application/json' }),
        ...this.#headers,
        ...headers,
      },
      ...(text !== undefined && { body: text }),
    });
  }
}

/** The outputs for every call a run waits for. */
export function outputsOf(run: WireRun, output: string): { tool_call_id: string; output: string }[] {
  const waiting = run.required_action?.submit_tool_outputs.tool_calls ?? [];
  return waiting.map(({ id }) => ({ tool_call_id: id, output }));
}

/** The event stream of one response. */
export class EventStream {
  readonly headers: Headers;
  readonly #hangUp: AbortController;
  readonly #frames: AsyncGenerator<Frame, void>;

  constructor(response: Response, hangUp: AbortController) {
    this.headers = response.headers;
    this.#hangUp = hangUp;
    this.#frames = framesOf(response);
  }

  /** The next frame; null at the end. */
  async next(): Promise<Frame | null> {
    const { value, done } = await this.#frames.next();
    return done === true ? null : value;
  }

  /** The frames up to and including the first with that name. @throws when the stream ends before. */
  async until(name: string): Promise<readonly Frame[]> {
    const frames: Frame[] = [];
    for (;;) {
      const frame = await this.next();
      if (frame === null) throw new Error(`the stream ended without ${name}: ${namesOf(frames).join()}`);
      frames.push(frame);
      if (frame.name === name) return frames;
    }
  }

  /** All further frames. */
  async rest(): Promise<readonly Frame[]> {
    const frames: Frame[] = [];
    for (let frame = await this.next(); frame !== null; frame = await this.next()) frames.push(frame);
    return frames;
  }

  /** Hangs up. */
  close(): void {
    this.#hangUp.abort();
  }
}

export const namesOf = (frames: readonly Frame[]): string[] => frames.map(({ name }) => name);

/** The run that a frame is about. */
export const runIn = (frame: Frame | undefined): WireRun => runSchema.parse(frame?.data);

/** The text that a stream's message deltas add up to. */
export function saidIn(frames: readonly Frame[]): string {
  const deltas = frames.filter(({ name }) => name === 'thread.message.delta');
  return deltas
    .flatMap(({ data }) => deltaSchema.parse(data).delta.content)
    .map(({ text }) => text.value)
    .join('');
}

/** The text of a message. */
export function textOf(message: unknown): string {
  return contentSchema
    .parse(message)
    .content.map(({ text }) => text.value)
    .join('\n');
}

async function* framesOf(response: Response): AsyncGenerator<Frame, void> {
  if (response.body === null) throw new Error('the answer has no body');
  let pending = '';
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (pending + text).split('\n\n');
    pending = blocks.pop() ?? '';
    for (const block of blocks) yield frameOf(block);
  }
  if (pending.replaceAll(': ping\n', '') !== '') throw new Error(`an unfinished frame: ${pending}`);
}

function frameOf(block: string): Frame {
  const fields = /^(?::[^\n]*\n)*(?:id: (.*)\n)?event: (.+)\ndata: (.+)$/.exec(block);
  if (fields === null) throw new Error(`not a frame: ${block}`);
  const [, id = null, name = '', data = ''] = fields;
  return { id, name, data: data === '[DONE]' ? data : parsed(data) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

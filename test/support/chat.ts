/**
 * `/chat/completions` without an SDK in between: exact statuses, headers and bytes, and streams that a test reads,
 * waits for and hangs up on, as devices and voice engines do.
 */
import { z } from 'zod';

const chunkSchema = z.looseObject({
  id: z.string(),
  object: z.literal('chat.completion.chunk'),
  created: z.number(),
  model: z.string(),
  choices: z.array(
    z.looseObject({
      index: z.literal(0),
      delta: z.looseObject({ content: z.string().nullish(), tool_calls: z.array(z.unknown()).optional() }),
      finish_reason: z.string().nullable(),
    }),
  ),
});
const answerSchema = z.looseObject({
  id: z.string(),
  object: z.literal('chat.completion'),
  choices: z.array(
    z.looseObject({
      message: z.looseObject({
        content: z.string().nullable(),
        tool_calls: z
          .array(
            z.looseObject({
              id: z.string(),
              function: z.looseObject({ name: z.string(), arguments: z.string() }),
            }),
          )
          .optional(),
      }),
      finish_reason: z.string(),
    }),
  ),
});
const errorSchema = z.object({
  error: z.object({
    message: z.string().min(1),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});

export type Chunk = z.infer<typeof chunkSchema>;
export type ChatError = z.infer<typeof errorSchema>['error'];

export interface Asked {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Any POST of JSON (a string is sent as it is), and whatever comes back. */
export function post(url: string, body: unknown, { headers = {}, signal }: Asked = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...(signal && { signal }),
  });
}

/** A turn of one user message. */
export const asking = (text: string, more: object = {}): object => ({
  model: 'any-model',
  messages: [{ role: 'user', content: text }],
  ...more,
});

/** The answer of a request that does not stream. @throws when the request was refused. */
export async function answerOf(response: Response): Promise<z.infer<typeof answerSchema>> {
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return answerSchema.parse(await response.json());
}

/** The text of such an answer. */
export async function textOf(response: Response): Promise<string | null> {
  return (await answerOf(response)).choices[0]?.message.content ?? null;
}

/** A refusal: its status and what it says, in OpenAI's envelope. */
export async function refusalOf(response: Response): Promise<ChatError & { readonly status: number }> {
  return { status: response.status, ...errorSchema.parse(await response.json()).error };
}

/** What a stream of chat chunks adds up to. */
export interface Heard {
  readonly text: string;
  readonly chunks: readonly Chunk[];
  readonly error: ChatError | null;
  readonly finish: string | null;
}

/** Reads a stream to its end, checking every frame. `onText` hears the text so far, each time it grows. */
export async function hear(response: Response, onText?: (text: string) => void): Promise<Heard> {
  if (response.headers.get('content-type') !== 'text/event-stream; charset=utf-8')
    throw new Error(`no stream: ${response.status} ${await response.text()}`);
  const chunks: Chunk[] = [];
  let text = '';
  let error: ChatError | null = null;
  let last = '';
  for await (const data of dataOf(response)) {
    if (last === '[DONE]') throw new Error(`something follows [DONE]: ${data}`);
    last = data;
    if (data === '[DONE]') continue;
    const value: unknown = JSON.parse(data);
    const failure = errorSchema.safeParse(value);
    if (failure.success) {
      error = failure.data.error;
      continue;
    }
    const chunk = chunkSchema.parse(value);
    chunks.push(chunk);
    text += chunk.choices[0]?.delta.content ?? '';
    onText?.(text);
  }
  if (last !== '[DONE]') throw new Error(`the stream ends without [DONE], after ${last}`);
  return { text, chunks, error, finish: chunks.findLast(hasFinish)?.choices[0]?.finish_reason ?? null };
}

const hasFinish = ({ choices }: Chunk): boolean => choices[0]?.finish_reason != null;

/** The data of each frame: one line, no other fields, and comments in between. */
async function* dataOf(response: Response): AsyncGenerator<string, void> {
  if (response.body === null) throw new Error('the answer has no body');
  let pending = '';
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (pending + text).split('\n\n');
    pending = blocks.pop() ?? '';
    for (const block of blocks) {
      const frame = /^(?::[^\n]*\n)*data: ([^\n]+)$/.exec(block);
      if (frame?.[1] === undefined) throw new Error(`not a frame: ${block}`);
      yield frame[1];
    }
  }
  if (pending.replaceAll(': ping\n', '') !== '') throw new Error(`an unfinished frame: ${pending}`);
}

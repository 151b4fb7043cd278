/** An upstream of one's own: a raw HTTP server that answers as the test says, and what the tests ask it with. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { pino } from 'pino';
import { Facts } from '../../src/model/facts.ts';
import { isRecord } from '../../src/runs/record.ts';
import { OpenAiModel, type OpenAiModelOptions } from '../../src/model/openai.ts';
import type { Limits } from '../../src/model/patience.ts';
import type { Upstream } from '../../src/model/upstreams.ts';
import { ModelError, type ModelPart, type ModelRequest } from '../../src/runs/model.ts';

export interface Asked {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readonly<Record<string, unknown>>;
  readonly socket: unknown;
}

export interface TestUpstream {
  /** Ends in /v1. */
  readonly url: string;
  readonly asked: readonly Asked[];
  stop(): Promise<void>;
}

/** `answer` gets the response and the number of the request, counted from 1. Without a port, any free one. */
export async function startUpstream(
  answer: (response: ServerResponse, count: number, request: IncomingMessage) => void | Promise<void>,
  port = 0,
): Promise<TestUpstream> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      let text = '';
      for await (const piece of request.setEncoding('utf8')) text += String(piece);
      const body: unknown = text === '' ? {} : JSON.parse(text);
      if (!isRecord(body)) throw new Error('the request is no JSON object');
      asked.push({ path: request.url ?? '', headers: request.headers, body, socket: request.socket });
      await answer(response, asked.length, request);
    })();
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}/v1`,
    asked,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Begins an event stream. */
export function begin(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
}

/** One chunk as an event; `choice` is merged into choice 0. */
export function chunk(delta: object, choice: object = {}, top: object = {}): string {
  const choices = [{ index: 0, delta, finish_reason: null, ...choice }];
  return `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices, ...top })}\n\n`;
}

export const STOP = chunk({}, { finish_reason: 'stop' });
export const DONE = 'data: [DONE]\n\n';

/** A whole good answer. */
export const HELLO = chunk({ role: 'assistant', content: '' }) + chunk({ content: 'Hello' }) + STOP + DONE;
export const HELLO_PARTS: readonly ModelPart[] = [
  { type: 'text', text: 'Hello' },
  { type: 'finish', reason: 'stop', usage: null },
];

export function upstreamAt(url: string, more: Partial<Upstream> = {}): Upstream {
  return {
    name: 'test',
    baseUrl: url,
    apiKey: 'sk-own-key-123456',
    models: [],
    aliases: {},
    visionModels: {},
    thinkTags: 'auto',
    ...more,
  };
}

/** Nothing is known about any model. */
export const NO_FACTS = new Facts({ families: {}, lessons: async () => Promise.resolve(new Map()) });

/** Longer than any test takes. */
export const PATIENT: Limits = { idleMs: 20_000, stallMs: 60_000, thinkMs: 60_000, totalMs: 60_000 };

interface ModelSettings extends Partial<OpenAiModelOptions> {
  readonly upstream?: Partial<Upstream>;
  readonly idleMs?: number;
}

/** A model that asks `url`, with the given settings; ids count call_1, call_2 …, and retries do not wait long. */
export function modelAt(
  url: string,
  { upstream = {}, idleMs = PATIENT.idleMs, ...options }: ModelSettings = {},
): OpenAiModel {
  let count = 0;
  return new OpenAiModel({
    upstreams: [upstreamAt(url, upstream)],
    limits: { ...PATIENT, idleMs },
    retries: 0,
    waitMs: 0,
    backoffMs: 1,
    log: pino({ level: 'silent' }),
    newId: (prefix) => `${prefix}_${(count += 1)}`,
    ...options,
  });
}

export const TOOL = {
  type: 'function' as const,
  function: {
    name: 'look',
    description: 'Looks.',
    parameters: { type: 'object', properties: {} },
    strict: false,
  },
};

export function ask(more: Partial<ModelRequest> = {}): ModelRequest {
  return {
    run_id: 'run_test',
    model: 'gpt-test',
    backend_id: null,
    messages: [{ role: 'user', content: 'hi' }],
    tools: [],
    tools_optional: false,
    tool_choice: 'auto',
    parallel_tool_calls: true,
    response_format: 'auto',
    temperature: null,
    top_p: null,
    reasoning_effort: null,
    max_completion_tokens: null,
    passed_on: {},
    sealed: null,
    ...more,
  };
}

/** Every part of a turn. */
export async function partsOf(model: OpenAiModel, request = ask(), signal = new AbortController().signal) {
  const parts: ModelPart[] = [];
  for await (const part of model.stream(request, signal)) parts.push(part);
  return parts;
}

/** The parts of a turn that fails, and the ModelError it fails with. */
export async function failureOf(model: OpenAiModel, request = ask()) {
  const parts: ModelPart[] = [];
  try {
    for await (const part of model.stream(request, new AbortController().signal)) parts.push(part);
  } catch (error) {
    if (error instanceof ModelError) return { parts, code: error.code, message: error.message };
    throw error;
  }
  throw new Error('the turn did not fail');
}

/**
 * Imitations of the families of model servers in docs/servers.md: each refuses what its family is reported to refuse, and
 * wants back what its family wants back. One server plays all of them, below a path for each.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { z } from 'zod';

const callSchema = z.looseObject({
  id: z.string(),
  function: z.looseObject({ name: z.string(), arguments: z.string() }),
});
const bodySchema = z.looseObject({
  model: z.string(),
  messages: z.array(
    z.looseObject({
      role: z.string(),
      content: z.unknown(),
      tool_calls: z.array(callSchema).optional(),
      tool_call_id: z.string().optional(),
    }),
  ),
  tools: z.array(z.looseObject({ function: z.looseObject({ name: z.string() }) })).optional(),
  stream: z.boolean().optional(),
});

interface FamilyRequest {
  readonly body: z.infer<typeof bodySchema>;
  readonly headers: IncomingMessage['headers'];
  readonly query: URLSearchParams;
}
type Rule = (request: FamilyRequest) => string | null;

export interface Family {
  /** Its settings in the configuration, beside name and address. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly rules: readonly Rule[];
  /** What it says beside a call, in its message and in the call. */
  readonly onMessage?: Readonly<Record<string, unknown>>;
  readonly onCall?: Readonly<Record<string, unknown>>;
  /** The id of its nth call. */
  readonly idOf?: (nth: number) => string;
  /** Its answers come whole where it is not asked to stream. */
  readonly isWhole?: boolean;
}

const without =
  (...fields: readonly string[]): Rule =>
  ({ body }) => {
    const found = fields.find((field) => field in body);
    return found === undefined ? null : `Unsupported parameter: '${found}'.`;
  };
const onlyWith =
  (field: string): Rule =>
  ({ body }) =>
    field in body ? null : `'${field}' is missing.`;
const noneOfTools =
  (field: string): Rule =>
  ({ body }) =>
    body.tools?.some((tool) => field in tool.function) === true
      ? `Extra inputs: tools.function.${field}`
      : null;
const calling = ({ body }: FamilyRequest) =>
  body.messages.filter(({ tool_calls: calls }) => calls !== undefined);
/** Every message with calls has the field with these words. */
const insistsOn =
  (field: string, value: unknown): Rule =>
  (request) =>
    calling(request).every((message) => JSON.stringify(message[field]) === JSON.stringify(value))
      ? null
      : `${field} must be passed back.`;
const noneOfMessages =
  (field: string): Rule =>
  ({ body }) =>
    body.messages.some((message) => field in message) ? `Extra inputs: messages.${field}` : null;
const ids =
  (pattern: RegExp): Rule =>
  (request) =>
    calling(request)
      .flatMap(({ tool_calls: calls = [] }) => calls)
      .every(({ id }) => pattern.test(id))
      ? null
      : 'Tool call id has the wrong form.';
/** Mistral's order: a tool's answer is followed by the assistant. */
const ordered: Rule = ({ body: { messages } }) =>
  messages.some(({ role }, index) => role === 'user' && messages[index - 1]?.role === 'tool')
    ? "Unexpected role 'user' after role 'tool'"
    : null;
const spoken: Rule = ({ body }) =>
  body.messages.some(({ content }) => typeof content === 'string' && content.trim() === '')
    ? 'text content blocks must be non-empty'
    : null;
const header =
  (name: string, value: string): Rule =>
  ({ headers }) =>
    headers[name] === value ? null : `The header ${name} is missing.`;

const THOUGHT = { reasoning_content: 'It wants the weather.' };
const SIGNED = { extra_content: { google: { thought_signature: 'c2lnbmVk' } } };
const DETAILS = {
  reasoning_details: [{ type: 'reasoning.encrypted', data: 'b3BhcXVl', index: 0, id: 'rs_1' }],
};

/** By the names of the rows in docs/servers.md. */
export const FAMILIES: Readonly<Record<string, Family>> = {
  'OpenAI, GPT-4 and GPT-5': { settings: { preset: 'openai' }, rules: [without('max_tokens')] },
  'OpenAI, o-series': {
    settings: { preset: 'openai-reasoning' },
    rules: [without('max_tokens', 'parallel_tool_calls', 'temperature', 'top_p')],
  },
  'Azure OpenAI': {
    settings: { preset: 'azure', apiKey: 'k' },
    rules: [
      header('api-key', 'k'),
      ({ query }) => (query.has('api-version') ? null : 'Resource not found: no api-version.'),
    ],
  },
  Gemini: {
    settings: { preset: 'gemini' },
    rules: [
      without('parallel_tool_calls'),
      noneOfTools('strict'),
      (request) =>
        calling(request).every(
          ({ tool_calls: [first] = [] }) => first !== undefined && 'extra_content' in first,
        )
          ? null
          : 'Function call is missing a thought_signature',
    ],
    onCall: SIGNED,
  },
  DeepSeek: {
    settings: { preset: 'deepseek' },
    rules: [insistsOn('reasoning_content', THOUGHT.reasoning_content)],
    onMessage: THOUGHT,
  },
  Kimi: {
    settings: { preset: 'kimi' },
    rules: [insistsOn('reasoning_content', THOUGHT.reasoning_content), ids(/^functions\.weather:\d+$/)],
    onMessage: THOUGHT,
    idOf: (nth) => `functions.weather:${nth}`,
  },
  OpenRouter: {
    settings: { preset: 'openrouter' },
    rules: [insistsOn('reasoning_details', DETAILS.reasoning_details)],
    onMessage: DETAILS,
  },
  Mistral: {
    settings: { preset: 'mistral' },
    rules: [
      ids(/^[A-Za-z0-9]{9}$/),
      ordered,
      without('stream_options', 'max_completion_tokens'),
      noneOfMessages('reasoning_content'),
    ],
    onMessage: THOUGHT,
  },
  Fireworks: {
    settings: { preset: 'fireworks' },
    rules: [without('stream_options', 'parallel_tool_calls'), noneOfTools('strict')],
  },
  Groq: {
    settings: { preset: 'groq' },
    rules: [without('max_tokens', 'logit_bias'), noneOfMessages('name'), noneOfMessages('reasoning_content')],
    onMessage: THOUGHT,
  },
  'Qwen at DashScope': {
    settings: { preset: 'qwen', extraBody: { enable_thinking: false } },
    rules: [({ body }) => (body['enable_thinking'] === false ? null : 'It would think for long.')],
  },
  'Anthropic, its layer for OpenAI clients': { settings: { preset: 'anthropic' }, rules: [spoken] },
  Ollama: { settings: { preset: 'ollama' }, rules: [without('max_completion_tokens')] },
  'llama.cpp': { settings: { preset: 'llamacpp' }, rules: [onlyWith('stream_options')] },
  vLLM: {
    settings: { preset: 'vllm' },
    rules: [onlyWith('stream_options'), insistsOn('reasoning', 'It wants the weather.')],
    onMessage: { reasoning: 'It wants the weather.' },
  },
  SGLang: { settings: { preset: 'sglang' }, rules: [onlyWith('stream_options')] },
  'LM Studio': { settings: { preset: 'lmstudio' }, rules: [without('max_completion_tokens')] },
  'transformers serve': {
    settings: { preset: 'transformers' },
    rules: [without('max_completion_tokens', 'stream_options', 'parallel_tool_calls')],
  },
  LiteLLM: { settings: { preset: 'litellm' }, rules: [without('parallel_tool_calls')] },
  Portkey: {
    settings: { preset: 'portkey', headers: { 'x-portkey-provider': 'openai' }, omit: ['stream'] },
    // Its streams break before they begin.
    rules: [header('x-portkey-provider', 'openai'), without('stream')],
    isWhole: true,
  },
};

/** The name of a family in addresses and of its model. */
export const slugOf = (row: string): string => row.toLowerCase().replaceAll(/[^a-z\d]+/g, '-');

/** Plays every family, and notes what it refused. */
export class FamilyServer {
  /** Its refusals, as `row: words`. */
  readonly refusals: string[] = [];
  #calls = 0;
  readonly #server: Server = createServer((request, response) => {
    void text(request).then((body) => this.#answer(request, body, response));
  });

  /** @returns everything before the family's slug in an address */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server on a port has an address of this kind
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  #answer({ method, url = '', headers }: IncomingMessage, text: string, response: ServerResponse): void {
    const { pathname, searchParams: query } = new URL(url, 'http://server');
    if (method === 'GET') return void response.end('{"object":"list","data":[]}');
    const [row, family] =
      Object.entries(FAMILIES).find(([name]) => pathname.startsWith(`/${slugOf(name)}/`)) ?? [];
    if (row === undefined || family === undefined) return void response.writeHead(404).end();
    const body = bodySchema.parse(JSON.parse(text));
    const refusal = family.rules
      .map((rule) => rule({ body, headers, query }))
      .find((words) => words !== null);
    if (refusal !== undefined) {
      this.refusals.push(`${row}: ${refusal}`);
      const error = { message: refusal, type: 'invalid_request_error', param: null, code: null };
      response.writeHead(400, { 'content-type': 'application/json' });
      return void response.end(JSON.stringify({ error }));
    }
    const message = this.#message(body, family);
    const reason = 'tool_calls' in message ? 'tool_calls' : 'stop';
    if (family.isWhole === true) return sendWhole(response, message, reason);
    return sendStream(response, message, reason);
  }

  #message(body: z.infer<typeof bodySchema>, { onMessage, onCall, idOf }: Family): Record<string, unknown> {
    const asked = body.messages.findLastIndex(({ role }) => role === 'user');
    const outputs = body.messages.slice(asked + 1).filter(({ role }) => role === 'tool');
    if (body.tools === undefined || outputs.length > 0)
      return { role: 'assistant', content: `It is ${outputs.map(({ content }) => String(content)).join()}.` };
    const nth = (this.#calls += 1);
    const called = { name: 'weather', arguments: '{"city":"Oslo"}' };
    const call = {
      index: 0,
      id: idOf?.(nth) ?? `call_${nth}`,
      type: 'function',
      function: called,
      ...onCall,
    };
    return { role: 'assistant', content: null, ...onMessage, tool_calls: [call] };
  }
}

function sendWhole(response: ServerResponse, message: unknown, finish_reason: string): void {
  response.setHeader('content-type', 'application/json');
  const choices = [{ index: 0, message, finish_reason }];
  response.end(JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices }));
}

function sendStream(response: ServerResponse, delta: unknown, reason: string): void {
  const chunk = (piece: unknown, finish_reason: string | null): string =>
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: piece, finish_reason }] })}\n\n`;
  response.setHeader('content-type', 'text/event-stream');
  response.end(`${chunk(delta, null)}${chunk({}, reason)}data: [DONE]\n\n`);
}

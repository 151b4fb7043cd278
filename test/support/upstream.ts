/**
 * The model server of the tests: real HTTP, OpenAI's `/v1/chat/completions` (streams only) and `/v1/models`. For each
 * request a test gives a script of steps. Owns its sockets and the record of requests; has no clock.
 */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { ListenOptions } from 'node:net';
import { json, text as readText } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';

/** One thing the model server does. Headers go out with the first step that writes. */
export type Step =
  /** One chunk: a fragment of text or of a tool call, in the protocol's own words. */
  | { readonly type: 'chunk'; readonly delta: object; readonly finish: string | null }
  /** Written as it is, followed by an empty line. */
  | { readonly type: 'line'; readonly line: string }
  /** An error instead of a stream; only before anything was written. */
  | { readonly type: 'refusal'; readonly status: number; readonly body: unknown; readonly headers: Headers }
  | { readonly type: 'delay'; readonly delayMs: number }
  | Gate
  | { readonly type: 'break' | 'stall' };

type Headers = Readonly<Record<string, string>>;

/**
 * Steps in order. `break` destroys the socket, and `stall` sends nothing more; otherwise the usage (if asked for) and
 * `[DONE]` follow the last step.
 */
export type Script = readonly Step[];

class Gate {
  readonly type = 'gate';
  readonly #reached = Promise.withResolvers<void>();
  readonly #opened = Promise.withResolvers<void>();
  /** Resolves when a script has come to the gate. */
  readonly reached = this.#reached.promise;
  readonly reach = this.#reached.resolve;
  readonly opened = this.#opened.promise;
  readonly open = this.#opened.resolve;
}

/** A place where a script waits for the test. */
export const gate = (): Gate => new Gate();

/** The usage that every turn reports. */
export const TURN_USAGE = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 } as const;

/** What is passed on to a model server (support/endpoints.ts is a server that knows them). */
const OTHER_ENDPOINTS = /^\/v1\/(?:embeddings|completions|moderations|rerank|audio|images)\b/;

/** A tenth of a second. */
const SILENCE = Buffer.alloc(4_800);

const FRAGMENT_LENGTH = 7;
let callCount = 0;

type FinishReason = 'stop' | 'tool_calls' | 'length' | 'content_filter';
const chunk = (delta: object, end: FinishReason | null = null): Step => ({
  type: 'chunk',
  delta,
  finish: end,
});

/** A fragment of the answer. */
export const text = (content: string): Step => chunk({ role: 'assistant', content });

/** The end of the answer. */
export const finish = (reason: FinishReason): Step => chunk({}, reason);

/** The model answers `fragments`, one after the other, and stops. */
export const says = (...fragments: readonly string[]): Script => [...fragments.map(text), finish('stop')];

/**
 * The model calls these tools in parallel: id and name come in a call's first chunk, its arguments in fragments after
 * it. `arguments` that are not a string are written as JSON.
 */
export function calls(wanted: readonly { readonly name: string; readonly arguments: unknown }[]): Script {
  const steps = wanted.flatMap(({ name, arguments: args }, index) => {
    const json = typeof args === 'string' ? args : JSON.stringify(args);
    const fragments = json.match(new RegExp(`.{1,${FRAGMENT_LENGTH}}`, 'gsu')) ?? [];
    const id = `call_upstream${(callCount += 1)}`;
    return [
      chunk({
        role: 'assistant',
        tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }],
      }),
      ...fragments.map((fragment) => chunk({ tool_calls: [{ index, function: { arguments: fragment } }] })),
    ];
  });
  return [...steps, finish('tool_calls')];
}

/** The server answers an error in OpenAI's envelope. */
export function refuses(status: number, message: string, headers: Headers = {}): Script {
  const body = { error: { message, type: 'error', param: null, code: null } };
  return [{ type: 'refusal', status, headers, body }];
}

const content = z
  .union([z.string(), z.null(), z.array(z.looseObject({ text: z.string().optional() }))])
  .optional();
const callingSchema = z.looseObject({
  tool_calls: z.array(z.looseObject({ function: z.looseObject({ name: z.string() }) })).default([]),
});
const bodySchema = z.looseObject({
  model: z.string(),
  messages: z.array(z.looseObject({ role: z.string(), content })).min(1),
  // The service streams always, so that it has one way through its code; this server knows no other.
  stream: z.literal(true),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).optional(),
  tools: z.array(z.looseObject({ type: z.string() })).optional(),
});

/** One request to the model. */
export class UpstreamRequest {
  readonly body: z.infer<typeof bodySchema>;
  readonly headers: IncomingHttpHeaders;
  /** Unix milliseconds. */
  readonly receivedAtMs = Date.now();
  /** Who ended the connection, and when: the server at the end of its script, or the client before that. */
  readonly closed: Promise<{ readonly by: 'client' | 'server'; readonly atMs: number }>;

  constructor(body: unknown, headers: IncomingHttpHeaders, response: ServerResponse) {
    this.body = bodySchema.parse(body);
    this.headers = headers;
    this.closed = new Promise((resolve) => {
      response.once('close', () => {
        // A `break` destroys the socket from this side, which leaves the answer as unfinished as a hang-up does.
        const byServer = response.writableFinished || response.errored !== null;
        resolve({ by: byServer ? 'server' : 'client', atMs: Date.now() });
      });
    });
  }

  /**
   * The user's last words: the text parts of the last user message. Messages that the user wrote one after the other come
   * as one, with empty lines between.
   */
  get text(): string {
    const said = textOf(this.body.messages.findLast(({ role }) => role === 'user')?.content);
    return said.split('\n\n').at(-1) ?? '';
  }

  /** The tool outputs since then, in order. */
  get outputs(): readonly string[] {
    const { messages } = this.body;
    const since = messages.slice(messages.findLastIndex(({ role }) => role === 'user') + 1);
    return since.filter(({ role }) => role === 'tool').map((message) => textOf(message.content));
  }

  /** All that was said, called and answered, in order: `user hello`, `calls look_up`, `tool sunny`. */
  get history(): readonly string[] {
    return this.body.messages.flatMap((message) => {
      const said = textOf(message.content);
      const made = callingSchema.parse(message).tool_calls;
      return [
        ...(said === '' ? [] : [`${message.role} ${said}`]),
        ...made.map(({ function: { name } }) => `calls ${name}`),
      ];
    });
  }
}

function textOf(said: z.infer<typeof content>): string {
  return Array.isArray(said) ? said.flatMap((part) => part.text ?? []).join('\n') : (said ?? '');
}

/** Any iterable, so that a step can be made when its turn comes. */
type Reply = (request: UpstreamRequest) => Iterable<Step> | undefined;

export class FakeUpstream {
  /** Every request so far, in order of arrival. */
  readonly requests: UpstreamRequest[] = [];
  readonly #servers: Server[];
  readonly #problems: unknown[] = [];
  readonly #listed = Promise.withResolvers<void>();
  /** Resolves when it has told somebody which models it has. */
  readonly listed = this.#listed.promise;
  /** Resolves when the next request comes; renewed with each request. */
  #arrival = Promise.withResolvers<void>();
  #reply: Reply = () => undefined;

  /**
   * @param sockets how many sockets listen. Node accepts one connection per socket in each turn of its loop, so a
   *   process with long turns keeps clients waiting that connect together. More than one works on Linux only.
   */
  constructor(sockets = 1) {
    this.#servers = Array.from({ length: sockets }, () => this.#server());
  }

  /** A server on a free port of the loopback interface. */
  static async start(sockets = 1): Promise<FakeUpstream> {
    const upstream = new FakeUpstream(sockets);
    await upstream.listen();
    return upstream;
  }

  /** Listens on the loopback interface. @param port 0 is a free one */
  async listen(port = 0): Promise<void> {
    let at = port;
    for (const server of this.#servers) {
      const options = { port: at, host: '127.0.0.1', reusePort: this.#servers.length > 1 };
      await opened(server, options);
      at = this.port;
    }
  }

  /** Listens at one more port, as the same model. @returns what ends that, and closes the connections there */
  async alsoListen(port: number): Promise<() => Promise<void>> {
    const server = this.#server();
    await opened(server, { port, host: '127.0.0.1' });
    this.#servers.push(server);
    return async () => {
      this.#servers.splice(this.#servers.indexOf(server), 1);
      await closed(server);
    };
  }

  /** The base URL for an OpenAI client; ends in `/v1`. */
  get baseUrl(): string {
    return `http://127.0.0.1:${this.port}/v1`;
  }

  get port(): number {
    const address = this.#servers[0]?.address() ?? null;
    if (address === null || typeof address === 'string') throw new Error('the upstream is stopped');
    return address.port;
  }

  /** @returns a function that restores the present reply. */
  keepReply(): () => void {
    const reply = this.#reply;
    return () => this.reply(reply);
  }

  /** From now on `reply` makes the scripts; where it returns none, the model answers `You said: <text>`. */
  reply(reply: Reply): void {
    this.#reply = reply;
  }

  /** The first request, past or future, that `fits`. The test's own time limit bounds the wait. */
  async asked(fits: (request: UpstreamRequest) => boolean): Promise<UpstreamRequest> {
    for (;;) {
      const found = this.requests.find(fits);
      if (found !== undefined) return found;
      await this.#arrival.promise;
    }
  }

  /** Closes all connections. @throws errors of the tests' replies, so that they cannot pass unnoticed. */
  async stop(): Promise<void> {
    await Promise.all(this.#servers.map(closed));
    if (this.#problems.length > 0)
      throw new AggregateError(this.#problems, 'the fake upstream could not answer');
  }

  #server(): Server {
    return createServer((request, response) => void this.#answer(request, response));
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (incoming.url === '/v1/models') {
        // It says usage when it is asked to, as vLLM does; other servers are not asked.
        const model = { id: 'fake-model', object: 'model', created: 0, owned_by: 'vllm' };
        // What the glasses of the tests ask for, as `<yuntianshiren>`.
        const agent = { ...model, id: 'yuntianshiren' };
        response.once('finish', this.#listed.resolve);
        return sendJson(response, 200, { object: 'list', data: [model, agent] });
      }
      if (OTHER_ENDPOINTS.test(incoming.url ?? '')) {
        // It speaks as well, whatever the text, for those who only need that it does (support/speech-server.ts says more).
        if ((await readText(incoming)).includes('"response_format":"pcm"')) {
          response.writeHead(200, { 'content-type': 'audio/pcm' });
          return void response.end(SILENCE);
        }
        const type = { 'content-type': 'application/json; charset=utf-8' };
        return sendJson(response, 200, { object: 'list', data: [] }, type);
      }
      if (incoming.url !== '/v1/chat/completions') throw new Error(`there is no ${incoming.url} here`);
      const request = new UpstreamRequest(await json(incoming), incoming.headers, response);
      this.requests.push(request);
      this.#arrival.resolve();
      this.#arrival = Promise.withResolvers();
      await play(this.#reply(request) ?? says('You said: ', request.text), request, response);
    } catch (error) {
      this.#problems.push(error);
      if (!response.headersSent)
        sendJson(response, 500, { error: { message: String(error), type: 'server_error' } });
    }
  }
}

function opened(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(options, resolve);
  });
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

async function play(
  script: Iterable<Step>,
  request: UpstreamRequest,
  response: ServerResponse,
): Promise<void> {
  const write = (line: string): void => {
    if (!response.headersSent)
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    response.write(`${line}\n\n`);
  };
  const head = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: request.body.model };
  const send = (fields: object): void => write(`data: ${JSON.stringify({ ...head, ...fields })}`);

  for (const step of script) {
    if (response.destroyed) return;
    switch (step.type) {
      case 'chunk':
        send({ choices: [{ index: 0, delta: step.delta, finish_reason: step.finish }] });
        break;
      case 'line':
        write(step.line);
        break;
      case 'refusal':
        return sendJson(response, step.status, step.body, step.headers);
      case 'delay':
        await delay(step.delayMs);
        break;
      case 'gate':
        step.reach();
        await Promise.race([step.opened, request.closed]);
        break;
      case 'break':
        // In the callback, so that everything written before has left this process.
        response.write(':\n\n', () => response.destroy(new Error('broken by the script')));
        await request.closed;
        return;
      case 'stall':
        await request.closed;
        return;
    }
  }
  if (request.body.stream_options?.include_usage === true) send({ choices: [], usage: TURN_USAGE });
  write('data: [DONE]');
  response.end();
}

function sendJson(response: ServerResponse, status: number, body: unknown, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

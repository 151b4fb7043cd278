/** An MCP server over HTTP with the tools that a test gives it. It speaks the real protocol, without sessions. */
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { json } from 'node:stream/consumers';
import { z } from 'zod';

const requestSchema = z.looseObject({
  id: z.number().optional(),
  method: z.string(),
  params: z
    .looseObject({
      protocolVersion: z.string().optional(),
      name: z.string().optional(),
      arguments: z.record(z.string(), z.unknown()).optional(),
    })
    .optional(),
});

/** A call that the server has answered, or is answering. */
interface McpCall {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly headers: IncomingHttpHeaders;
}

/** A tool: what it answers, as text. One that throws has failed. */
export interface McpTool {
  readonly description?: string;
  readonly isReadOnly?: boolean;
  readonly run: (args: Readonly<Record<string, unknown>>) => string | Promise<string>;
}

export class McpServer {
  /** In the order in which they came. */
  readonly calls: McpCall[] = [];
  listed = 0;
  /** What a request must bring as its authorization; null for nothing. */
  authorization: string | null = null;
  tools: Readonly<Record<string, McpTool>> = {};
  #server: Server | null = null;

  async listen(): Promise<void> {
    const server = createServer((request, response) => void this.#answer(request, response));
    this.#server = server;
    await once(server.listen(0, '127.0.0.1'), 'listening');
  }

  /** Its host and port, as the guard is told of it. */
  get host(): string {
    const address = this.#server?.address();
    if (address === null || address === undefined || typeof address === 'string') throw new Error('no port');
    return `127.0.0.1:${address.port}`;
  }

  get url(): string {
    return `http://${this.host}/mcp`;
  }

  stop(): void {
    this.#server?.closeAllConnections();
    this.#server?.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') return void response.writeHead(405).end();
    if (this.authorization !== null && request.headers.authorization !== this.authorization)
      return void response.writeHead(401).end();
    const { id, method, params = {} } = requestSchema.parse(await json(request));
    const answer = (result: object): void =>
      void response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    switch (method) {
      case 'initialize':
        return answer({
          protocolVersion: params.protocolVersion,
          capabilities: { tools: {} },
          serverInfo: { name: 'of a test', version: '1' },
        });
      case 'tools/list':
        this.listed += 1;
        return answer({ tools: Object.entries(this.tools).map(described) });
      case 'tools/call':
        return answer(await this.#call(params.name ?? '', params.arguments ?? {}, request.headers));
      default:
        return id === undefined ? void response.writeHead(202).end() : answer({});
    }
  }

  async #call(name: string, args: McpCall['args'], headers: IncomingHttpHeaders): Promise<object> {
    this.calls.push({ name, args, headers });
    try {
      const text = await this.tools[name]?.run(args);
      return { content: [{ type: 'text', text: text ?? 'no such tool' }] };
    } catch (error) {
      return { isError: true, content: [{ type: 'text', text: String(error) }] };
    }
  }
}

function described([name, { description = '', isReadOnly }]: readonly [string, McpTool]): object {
  return {
    name,
    description,
    inputSchema: { type: 'object', properties: { q: { type: 'string' } } },
    ...(isReadOnly !== undefined && { annotations: { readOnlyHint: isReadOnly } }),
  };
}

/**
 * What tests of imported APIs need: a server that keeps what it was asked, the global fetch with the limits of a guarded
 * one, a context for calls, and a log that can be read.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { ToolFetch, ToolLog } from '../../src/runs/tool.ts';

export interface Asked {
  readonly method: string;
  /** Path and query, as they came. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

type Answer = (asked: Asked, response: ServerResponse) => void;

export interface Api {
  readonly url: string;
  readonly asked: Asked[];
  /** What is answered from now on. */
  answer: Answer;
  close(): Promise<void>;
}

export async function startApi(): Promise<Api> {
  const api: Omit<Api, 'url' | 'close'> = {
    asked: [],
    answer: (_, response) => sendJson(response, { ok: true }),
  };
  const server = createServer((request, response) => {
    void read(request).then((body) => {
      const { method = '', url = '', headers } = request;
      const asked = { method, path: url, headers, body };
      api.asked.push(asked);
      api.answer(asked, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return Object.assign(api, {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

export function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  response
    .writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
    .end(JSON.stringify(value));
}

export function send(response: ServerResponse, type: string, body: string | Buffer, status = 200): void {
  response.writeHead(status, { 'content-type': type }).end(body);
}

async function read(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += String(chunk);
  return body;
}

/** The global fetch, which may go to this machine, within `timeoutMs` and `maxBytes`. */
export const plainFetch: ToolFetch = async (url, { timeoutMs, maxBytes, ...init } = {}) => {
  const signals = [init.signal, timeoutMs === undefined ? null : AbortSignal.timeout(timeoutMs)];
  const signal = AbortSignal.any(signals.filter((one) => one != null));
  const response = await fetch(url, { ...init, signal });
  if (response.body === null || maxBytes === undefined) return response;
  let bytes = 0;
  const limit = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) controller.error(new Error(`The answer has more than ${maxBytes} bytes.`));
      else controller.enqueue(chunk);
    },
  });
  const { status, headers } = response;
  return new Response(response.body.pipeThrough(limit), { status, headers });
};

export interface ReadableLog extends ToolLog {
  readonly lines: string[];
}

export function readableLog(): ReadableLog {
  const lines: string[] = [];
  const write = (fields: Readonly<Record<string, unknown>>, message: string): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  return { lines, info: write, warn: write };
}

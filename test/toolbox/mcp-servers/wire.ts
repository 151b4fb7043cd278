/** What the hostile servers have in common: JSON-RPC in lines over stdin and stdout, by hand, because a library would not misbehave. */
import { createInterface } from 'node:readline';
import { z } from 'zod';

const requestSchema = z.object({
  id: z.number().optional(),
  method: z.string().optional(),
  params: z
    .looseObject({
      name: z.string().optional(),
      cursor: z.string().optional(),
      protocolVersion: z.string().optional(),
    })
    .optional(),
});

type Params = NonNullable<z.output<typeof requestSchema>['params']>;

/** The result of a request, or undefined for silence. */
type Method = (params: Params, id: number | undefined) => unknown;

/** Writes one message. The text `nested 5` in it becomes JSON of that depth, which no JSON writer could write. */
export function send(message: object): void {
  const text = JSON.stringify({ jsonrpc: '2.0', ...message }).replaceAll(
    /"nested (\d+)"/g,
    (_, depth) => '['.repeat(Number(depth)) + ']'.repeat(Number(depth)),
  );
  process.stdout.write(`${text}\n`);
}

/** Answers the handshake and pings, and the rest by `methods`. */
export function serve(methods: Readonly<Record<string, Method>>): void {
  const all: Readonly<Record<string, Method>> = {
    initialize: ({ protocolVersion }) => ({
      protocolVersion,
      capabilities: { tools: { listChanged: true } },
      serverInfo: { name: 'hostile', version: '1' },
    }),
    ping: () => ({}),
    ...methods,
  };
  createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method, params } = requestSchema.parse(JSON.parse(line));
    const result = all[method ?? '']?.(params ?? {}, id);
    if (id !== undefined && result !== undefined) send({ id, result });
  });
}

/** A tool that takes anything. */
export function tool(name: unknown, more: object = {}): object {
  return { name, inputSchema: { type: 'object' }, ...more };
}

/** A result of one text. */
export function text(value: string): object {
  return { content: [{ type: 'text', text: value }] };
}

/** A model server that is strict: it refuses what a test says, whole or in its stream. */
import type { ServerResponse } from 'node:http';
import { isRecord } from '../../src/runs/record.ts';
import { begin, HELLO, startUpstream, type TestUpstream } from './upstream.ts';

export type Body = Readonly<Record<string, unknown>>;
/** What a refusal says: its status, and its body. */
export type Refusal = readonly [number, unknown];

/** In OpenAI's envelope. */
export const error = (message: string, more: object = {}, status = 400): Refusal => [
  status,
  { error: { message, type: 'invalid_request_error', param: null, code: null, ...more } },
];

/** In FastAPI's. */
export const detail = (...places: readonly (readonly (string | number)[])[]): Refusal => [
  422,
  {
    detail: places.map((loc) => ({
      type: 'extra_forbidden',
      loc,
      msg: 'Extra inputs are not permitted',
      input: 1,
    })),
  },
];

/** Answers as long as `refuse` finds nothing to refuse. */
export async function startStrict(
  refuse: (body: Body) => Refusal | null,
  isStreamed = false,
): Promise<TestUpstream> {
  const upstream: TestUpstream = await startUpstream((response) => {
    const found = refuse(upstream.asked.at(-1)?.body ?? {});
    if (found === null) return good(response);
    const [status, said] = found;
    if (!isStreamed) {
      response.writeHead(status).end(typeof said === 'string' ? said : JSON.stringify(said));
      return;
    }
    begin(response);
    const inner = isRecord(said) && isRecord(said['error']) ? said['error'] : said;
    const event = { error: isRecord(inner) ? { ...inner, status } : inner };
    response.end(`data: ${JSON.stringify(event)}\n\n`);
  });
  return upstream;
}

function good(response: ServerResponse): void {
  begin(response);
  response.end(HELLO);
}

/** Whether a path leads to something in the body, through lists. */
export function has(value: unknown, [name, ...rest]: readonly string[]): boolean {
  if (name === undefined) return value !== undefined;
  if (Array.isArray(value)) return value.some((each: unknown) => has(each, [name, ...rest]));
  return isRecord(value) && has(value[name], rest);
}

/** `openapi` in the configuration: documents whose operations become tools, and the keys that calls of them carry. */
import { z } from 'zod';
import type { Env } from './env.ts';

const kilobyte = 1024;

/** A header's name as HTTP allows it. */
const headerName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'must be the name of a header');
/** One line of Latin letters: HTTP clients refuse anything else, with the value in their message. */
const headerValue = z.string().regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'must be one line of Latin letters');
/** An address that holds no key: logs and listings show it. */
const plainUrl = z.url({ protocol: /^https?$/ }).regex(/^[^@?#]*$/, 'must have no user, password or query');

/** An OpenAPI document, or an `ai-plugin.json` manifest, whose operations become tools. */
export const openApiSchema = z.strictObject({
  /** http(s) URL, or path of a file. */
  document: z
    .string()
    .regex(/^(?!https?:\/\/[^/]*@)./, 'must be a URL without password, or the path of a file'),
  /** Its name in listings; by default, the document's own title. */
  name: z.string().min(1).max(64).optional(),
  /** Begins the name of every tool; at most half of a tool's name. */
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9_-]{0,32}$/)
    .default(''),
  /** operationIds, or `METHOD /path`. A model takes no more tools than this. */
  allow: z.array(z.string().min(1)).min(1).max(128).optional(),
  /** Replaces the document's servers. */
  baseUrl: plainUrl.optional(),
  headers: z.record(headerName, headerValue).default({}),
  /** Header → the environment variable that holds its value, so that the file need not. */
  headersEnv: z.record(headerName, z.string().min(1)).default({}),
  timeoutMs: z.int().min(100).max(120_000).default(10_000),
  /** Size of one answer: what a model reads is paid for by the token. */
  maxResponseBytes: z
    .int()
    .min(kilobyte)
    .max(4 * kilobyte * kilobyte)
    .default(256 * kilobyte),
});

type OpenApi = Readonly<z.infer<typeof openApiSchema>>;

/** The entry with the headers that `headersEnv` names; missing variables go to `report`. */
export function withHeaders(openapi: OpenApi, env: Env, report: (problem: string) => void): OpenApi {
  const headers: Record<string, string> = { ...openapi.headers };
  for (const [header, variable] of Object.entries(openapi.headersEnv)) {
    const parsed = headerValue.min(1).safeParse(env[variable]);
    if (parsed.success) headers[header] = parsed.data;
    else
      report(
        `openapi: the header '${header}' should be in ${variable}, which is not set or is no single line.`,
      );
  }
  return { ...openapi, headers };
}

/** The entry as it may be logged. */
export function withoutHeaders(openapi: OpenApi): Readonly<Record<string, unknown>> {
  return {
    ...openapi,
    document: openapi.document.replace(/^(https?:[^?#]*)[?#].*$/, '$1?[redacted]'),
    headers: Object.fromEntries(Object.keys(openapi.headers).map((name) => [name, '[redacted]'])),
  };
}

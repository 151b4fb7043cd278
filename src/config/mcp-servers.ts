/**
 * The `mcpServers` of the configuration: the format that MCP clients share, and a few keys of our own. Knows which
 * values are secrets, takes values that the file only names from the environment, and hides secrets from logs.
 */
import { z } from 'zod';
import type { Env } from './env.ts';

const MAX_CALL_MS = 600_000;
const names = z.record(z.string().min(1), z.string().min(1));

const ours = {
  /** Tools to offer, by the server's own names. */
  allow: z.array(z.string().min(1)).optional(),
  /** Time limit of one call. */
  timeoutMs: z.number().int().min(100).max(MAX_CALL_MS).default(30_000),
  /** Before the name of each tool. */
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9_-]{0,32}$/, 'must be at most 32 letters, digits, _ and -')
    .optional(),
};

const childSchema = z.strictObject({
  type: z.literal('stdio').optional(),
  command: z.string().min(1),
  args: z.array(z.string()).default([]),
  env: z.record(z.string().min(1), z.string()).default({}),
  /** Variable of the server → variable of our environment that holds its value. */
  envFrom: names.default({}),
  cwd: z.string().min(1).optional(),
  ...ours,
});

/** Any other value would break every request, and appear in the error. */
const headerValue = z.string().regex(/^[\t\x20-\x7e]*$/, 'must be one line of ASCII characters');

const httpSchema = z.strictObject({
  type: z.literal('http', "must be 'http' beside a URL").optional(),
  url: z.url({ protocol: /^https?$/ }),
  headers: z.record(z.string().regex(/^[A-Za-z0-9-]+$/), headerValue).default({}),
  /** Header → variable of our environment that holds its value. */
  headersEnv: names.default({}),
  ...ours,
});

/** A process or an address. Not a zod union, which would not report which key is wrong. */
const serverSchema = z.looseObject({}).transform((server, context) => {
  const parsed = ('url' in server ? httpSchema : childSchema).safeParse(server);
  if (parsed.success) return parsed.data;
  for (const { message, path } of parsed.error.issues) context.addIssue({ code: 'custom', message, path });
  return z.NEVER;
});

export const mcpServersSchema = z
  // Any name that fits on a line; the names of its tools are made safe for models.
  .record(z.string().regex(/^[^\p{C}]{1,64}$/u), serverSchema)
  .default({});

type McpServers = Readonly<z.infer<typeof mcpServersSchema>>;
type Server = McpServers[string];

/** The servers with the values that `envFrom` and `headersEnv` name; missing variables go to `report`. */
export function withSecrets(servers: McpServers, env: Env, report: (problem: string) => void): McpServers {
  return mapServers(servers, (server, name) => {
    const place = `mcpServers.${name}`;
    if ('command' in server)
      return {
        ...server,
        env: { ...server.env, ...valuesOf(server.envFrom, `${place}.envFrom`, env, report) },
      };
    const values = valuesOf(server.headersEnv, `${place}.headersEnv`, env, report);
    for (const [header, value] of Object.entries(values)) {
      if (!headerValue.safeParse(value).success)
        report(`${place}.headersEnv: the value for ${header} must be one line of ASCII characters.`);
    }
    return { ...server, headers: { ...server.headers, ...values } };
  });
}

/** The servers as they may be logged. Arguments and addresses often hold keys, too. */
export function withoutSecrets(servers: McpServers): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(servers).map(([name, server]) => [
      name,
      'command' in server
        ? { ...server, args: server.args.map(() => '[redacted]'), env: hidden(server.env) }
        : { ...server, url: new URL(server.url).origin, headers: hidden(server.headers) },
    ]),
  );
}

function mapServers(servers: McpServers, change: (server: Server, name: string) => Server): McpServers {
  return Object.fromEntries(Object.entries(servers).map(([name, server]) => [name, change(server, name)]));
}

function valuesOf(
  variables: Readonly<Record<string, string>>,
  place: string,
  env: Env,
  report: (problem: string) => void,
): Record<string, string> {
  const values: Record<string, string> = {};
  for (const [name, variable] of Object.entries(variables)) {
    const value = env[variable];
    if (value) values[name] = value;
    else report(`${place}: the value for ${name} should be in ${variable}, which is not set.`);
  }
  return values;
}

function hidden(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.keys(values).map((name) => [name, '[redacted]']));
}

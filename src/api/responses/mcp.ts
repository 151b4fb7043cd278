/**
 * MCP servers that come with a request: `tools` of the type `mcp`. Their tools are listed before the run begins, so a run knows all
 * that it may call. What lets into a server is sealed on its way to the worker, and told to nobody.
 */
import { z } from 'zod';
import { ApiError, echo } from '../../errors.ts';
import type { WireItem } from '../../runs/items.ts';
import type { RemoteListing, RemoteTarget } from '../../runs/remote.ts';
import type { Caller } from '../../turns/caller.ts';
import { admitWrite } from '../../turns/trial-writes.ts';
import type { Services } from '../http/services.ts';
import { refuse } from '../http/shapes.ts';
import { validate } from '../http/validate.ts';

/** The label of this server's own tools, which clients see as those of an MCP server: they must not run them. */
export const OWN_LABEL = 'longrun';

const MAX_SERVERS = 16;
const MAX_HEADERS = 32;
const MAX_TEXT_LENGTH = 4_096;
/** Those that say how a request is carried, and for whom. */
const CARRYING =
  /^(?:host|connection|content-.*|transfer-encoding|upgrade|te|trailer|keep-alive|expect|mcp-.*|accept)$/i;

const line = z
  .string()
  .max(MAX_TEXT_LENGTH)
  .regex(/^[\t\x20-\x7e]*$/, 'expected one line of ASCII characters');
const headerName = z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'expected letters, digits and hyphens');
const names = z.array(z.string()).max(1_000);
const filter = z.looseObject({ tool_names: names.nullish(), read_only: z.boolean().nullish() });

const mcpTool = z.looseObject({
  type: z.literal('mcp'),
  server_label: z
    .string()
    .regex(
      /^[A-Za-z][A-Za-z0-9_-]{0,63}$/,
      'expected at most 64 letters, digits, _ and -, a letter being the first',
    ),
  server_url: line.nullish(),
  connector_id: z.string().nullish(),
  headers: z
    .record(headerName, line)
    .superRefine((value, context) => {
      const given = Object.keys(value);
      const strange = given.find((name) => CARRYING.test(name));
      if (given.length > MAX_HEADERS)
        refuse(context, {
          code: 'object_above_max_properties',
          message: `Invalid '{param}': too many headers.`,
        });
      if (strange === undefined) return;
      const message = `Invalid '{param}': the header '${echo(strange)}' cannot be set. It says how requests are carried.`;
      refuse(context, { code: 'invalid_value', message });
    })
    .nullish(),
  authorization: line.nullish(),
  allowed_tools: z.union([names, filter]).nullish(),
  require_approval: z
    .union([
      z.enum(['always', 'never']),
      z.looseObject({ always: filter.nullish(), never: filter.nullish() }),
    ])
    .nullish(),
});

type GivenServer = z.infer<typeof mcpTool>;
type Filter = z.infer<typeof filter>;

/** A server as a request names it. */
export interface AskedServer {
  readonly label: string;
  readonly target: RemoteTarget;
  allows(tool: RemoteListing): boolean;
  needsApproval(tool: RemoteListing): boolean;
}

/** A server whose tools are known. */
export interface ListedServer extends AskedServer {
  /** Those that the request allows. */
  readonly tools: readonly RemoteListing[];
  /** Whether what the response goes on from has not shown them. */
  readonly isNew: boolean;
}

/** The servers among the tools of a request. @throws {ApiError} 400 for one that cannot be meant. */
export function serversIn(given: readonly { readonly type: string }[]): readonly AskedServer[] {
  const servers: AskedServer[] = [];
  for (const [index, tool] of given.entries()) {
    if (tool.type !== 'mcp') continue;
    const param = `tools[${index}]`;
    const read = validate(mcpTool, tool, false, param);
    const { server_label: label } = read;
    if (label === OWN_LABEL)
      throw invalid(
        `${param}.server_label`,
        `The label '${OWN_LABEL}' is that of this server's own tools. Choose another.`,
      );
    if (servers.some((server) => server.label === label))
      throw invalid(
        `${param}.server_label`,
        `Duplicate server_label '${label}' in 'tools'. Give each server its own.`,
      );
    servers.push({
      label,
      target: targetOf(read, param),
      allows: (one) => isAllowed(read, one),
      needsApproval: (one) => isAsked(read, one),
    });
  }
  if (servers.length > MAX_SERVERS)
    throw invalid(
      'tools',
      `A response may have ${MAX_SERVERS} MCP servers, but this one has ${servers.length}.`,
    );
  return servers;
}

function targetOf(given: GivenServer, param: string): RemoteTarget {
  const { server_url: url, connector_id: connector, headers, authorization } = given;
  if (url == null || url === '') {
    if (connector != null)
      throw new ApiError(
        400,
        `Connectors are OpenAI's own, and '${echo(connector)}' is not here. Name the server by 'server_url'.`,
        { param: `${param}.connector_id`, code: 'unsupported_tool' },
      );
    throw new ApiError(400, `Missing required parameter: '${param}.server_url'.`, {
      param: `${param}.server_url`,
      code: 'missing_required_parameter',
    });
  }
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw invalid(`${param}.server_url`, `Invalid '${param}.server_url': expected an http or https address.`);
  const { username, password } = new URL(url);
  if (username !== '' || password !== '')
    throw invalid(
      `${param}.server_url`,
      `Invalid '${param}.server_url': an address with a password in it is not taken. Send it as 'authorization' or in 'headers'.`,
    );
  const own = Object.entries(headers ?? {}).filter(
    ([name]) => authorization == null || name.toLowerCase() !== 'authorization',
  );
  return {
    url,
    headers: {
      ...Object.fromEntries(own),
      ...(authorization != null && { authorization: `Bearer ${authorization}` }),
    },
  };
}

function isAllowed({ allowed_tools: allowed }: GivenServer, tool: RemoteListing): boolean {
  if (allowed == null) return true;
  return Array.isArray(allowed) ? allowed.includes(tool.name) : fits(allowed, tool);
}

/** What nobody has said otherwise of needs an approval: a tool may do anything. */
function isAsked({ require_approval: asked }: GivenServer, tool: RemoteListing): boolean {
  if (asked == null || typeof asked === 'string') return asked !== 'never';
  if (asked.always != null && fits(asked.always, tool)) return true;
  return asked.never == null || !fits(asked.never, tool);
}

function fits({ tool_names: names, read_only: isReadOnly }: Filter, tool: RemoteListing): boolean {
  if (names == null && isReadOnly == null) return true;
  return (names?.includes(tool.name) ?? true) && (isReadOnly == null || isReadOnly === tool.isReadOnly);
}

/** The labels of the servers whose tools are among the items that a client has brought. */
export function serversShown(items: readonly WireItem[]): readonly string[] {
  return items.flatMap(({ type, server_label: label }) =>
    type === 'mcp_list_tools' && typeof label === 'string' ? [label] : [],
  );
}

/**
 * Asks the servers for their tools.
 * @param shown the labels of servers whose tools were shown by what the response goes on from
 * @throws {ApiError} 400 where this server cannot keep their secrets; 403 for a key that no model has answered yet; 424 for a server that does not tell its tools.
 */
export async function listServers(
  services: Services,
  caller: Caller,
  servers: readonly AskedServer[],
  shown: readonly string[],
): Promise<readonly ListedServer[]> {
  if (servers.length === 0) return [];
  const { seal, trial, listRemote } = services;
  const { project, upstreamKey, gone } = caller;
  if (seal === null) throw noSecret();
  // Asks Redis as well: another process may have heard a model answer the key.
  await admitWrite(services, caller, { textBytes: 0 });
  if (upstreamKey !== null && !trial.knows(project)) throw onTrial();
  return Promise.all(
    servers.map(async (server) => {
      const listed = await listRemote(project, server.target, gone);
      if (listed.type === 'unavailable') throw cannotList(server.label, listed.reason);
      const tools = listed.tools.filter((tool) => server.allows(tool));
      return { ...server, tools, isNew: !shown.includes(server.label) };
    }),
  );
}

/** A declaration as it is shown again: what lets into other servers stays secret, and addresses often hold keys. */
export function withoutSecrets({
  type,
  ...tool
}: {
  readonly type: string;
  readonly [field: string]: unknown;
}): object {
  const { authorization: _, headers: __, server_url: url, ...shown } = tool;
  return { type, ...shown, ...(typeof url === 'string' && { server_url: shownUrl(url) }) };
}

function shownUrl(url: string): string {
  if (!URL.canParse(url)) return '<redacted>';
  const { origin, pathname, search } = new URL(url);
  return pathname === '/' && search === '' ? origin : `${origin}/<redacted>`;
}

function cannotList(label: string, reason: string): ApiError {
  const text = `Error retrieving tool list from MCP server: '${label}'. ${reason}`;
  return new ApiError(424, text, {
    type: 'external_connector_error',
    param: 'tools',
    code: 'mcp_list_tools_failed',
  });
}

function onTrial(): ApiError {
  const text =
    'No model has answered a request with this API key yet, and until then no other server is asked for tools. Send one short request without tools; when it is answered, send this again.';
  return new ApiError(403, text, { param: 'tools', code: 'api_key_on_trial' });
}

function noSecret(): ApiError {
  const text =
    "This server takes no tools of the type 'mcp', because its operator has set no SECRET to seal their addresses and keys with. Set SECRET for the API and the workers to the same long random text.";
  return new ApiError(400, text, { param: 'tools', code: 'unsupported_tool' });
}

function invalid(param: string, text: string): ApiError {
  return new ApiError(400, text, { param, code: 'invalid_value' });
}

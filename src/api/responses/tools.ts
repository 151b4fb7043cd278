/** Tools of the Responses API: what a client declares, and what its run has of it. */
import { z } from 'zod';
import { ApiError, echo } from '../../errors.ts';
import { offeredTools, toolName, type DeclaredTool } from '../../runs/calls/kinds.ts';
import { safeName } from '../../runs/tool-names.ts';
import type { RemoteServer } from '../../runs/event.ts';
import type { Plugins } from '../../runs/tool.ts';
import type {
  AssistantTool,
  FunctionTool,
  RankingOptions,
  ToolChoice,
  ToolResources,
} from '../../runs/thread.ts';
import { jsonBytes } from '../../turns/budgets.ts';
import { approvalsOf, withPlugins } from '../../turns/run-tools.ts';
import * as shapes from '../http/shapes.ts';
import { validate } from '../http/validate.ts';
import { withoutSecrets, type ListedServer } from './mcp.ts';

/** The tool of this server that searches the web. */
export const WEB_SEARCH = 'SEARCH';
const IS_WEB_SEARCH = /^web_search/;

const functionTool = z.looseObject({
  type: z.literal('function'),
  name: shapes.functionName,
  description: z.string().nullish(),
  parameters: shapes.functionParameters,
  strict: z.boolean().nullish(),
});
const customTool = z.looseObject({
  type: z.literal('custom'),
  name: shapes.functionName,
  description: z.string().nullish(),
  format: z.unknown().optional(),
});
const namespaceTool = z.looseObject({
  type: z.literal('namespace'),
  name: z.string().min(1),
  tools: z.array(z.unknown()).max(shapes.MAX_TOOLS),
});
const fileSearchTool = z.looseObject({
  type: z.literal('file_search'),
  vector_store_ids: z.array(z.string()).min(1).max(10),
  max_num_results: z.int().min(1).max(50).nullish(),
  ranking_options: z
    .looseObject({ ranker: z.string().nullish(), score_threshold: z.number().min(0).max(1).nullish() })
    .nullish(),
  filters: z.unknown().optional(),
});
const codeTool = z.looseObject({
  type: z.literal('code_interpreter'),
  container: z
    .union([z.string(), z.looseObject({ file_ids: z.array(z.string()).max(20).nullish() })])
    .nullish(),
});

/** Each tool is read by its type below, so that one that is unknown is named. */
const anyTool = z.looseObject({ type: z.string() });
export const tools = z
  .array(anyTool)
  .max(shapes.MAX_TOOLS)
  .superRefine(shapes.atMost(shapes.MAX_TOOLS_BYTES))
  .nullish();

export const toolChoice = z.union([shapes.choiceWord, z.looseObject({ type: z.string().min(1) })]).nullish();

type GivenTool = NonNullable<z.infer<typeof tools>>[number];
type GivenChoice = z.infer<typeof toolChoice>;

/** The tools of a request, as its run has them. */
export interface ReadTools {
  readonly tools: readonly DeclaredTool[];
  readonly choice: ToolChoice;
  /** Those that a worker answers, and those of them whose calls wait for an approval. */
  readonly serverTools: readonly string[];
  readonly approvals: readonly string[];
  readonly remotes: readonly RemoteServer[];
  /** What the hosted tools among them work with. */
  readonly resources: ToolResources;
  /** What a response shows in place of what the run says: `tools`, `tool_choice`. */
  readonly shown: Readonly<Record<string, unknown>>;
}

/** What of this server a request may use: its own tools, and the MCP servers that the request has brought. */
export interface OwnTools {
  /** Those that the run has besides, as `metadata.auto_tools` names them; null for none. */
  readonly auto: string | null;
  /** Those whose calls wait for an approval, as `metadata.approve` of the assistant and the request name them. */
  readonly approve: readonly (string | undefined)[];
  /** The assistant's, where the request names none. */
  readonly ofAgent: readonly AssistantTool[];
  readonly plugins: Plugins;
  readonly servers: readonly ListedServer[];
}

/**
 * @throws {ApiError} 400 for a tool of a kind that is not there, by its name, and for a choice that nothing satisfies.
 */
export function readTools(
  given: readonly GivenTool[],
  choice: GivenChoice,
  { auto, approve, ofAgent, plugins, servers }: OwnTools,
): ReadTools {
  const reader = new ToolReader(plugins, servers);
  reader.declared.push(...ofAgent);
  given.forEach((tool, index) => reader.read(tool, `tools[${index}]`));
  reader.readServers();
  const named = reader.declared.map((tool) => offeredTools([tool]).map(toolName));
  const allowed = allowedIn(choice, reader);
  const strange = allowed?.find((name) => name !== WEB_SEARCH && !named.flat().includes(name));
  if (strange !== undefined)
    throw invalid('tool_choice', `Tool choice '${echo(strange)}' not found in 'tools' parameter.`);
  const declared =
    allowed === null
      ? reader.declared
      : reader.declared.filter((_, at) => named[at]?.some((name) => allowed.includes(name)));
  const plain = declared.filter((tool) => tool.type !== 'custom');
  const own = withPlugins(plain, auto, plugins);
  requireFit(own.tools, servers);
  const shown = {
    ...(given.some(({ type }) => type !== 'function' && type !== 'custom') && {
      tools: given.map(withoutSecrets),
    }),
    ...(allowed !== null && { tools: given.map(withoutSecrets) }),
    ...(typeof choice === 'object' && choice !== null && { tool_choice: shownChoice(choice) }),
  };
  return {
    tools: [...declared.filter((tool) => tool.type === 'custom'), ...own.tools],
    choice: choiceOf(choice, reader),
    serverTools: [...new Set([...own.serverTools, ...reader.served])],
    approvals: [
      ...new Set([...reader.asking, ...approvalsOf(approve, [...own.serverTools, ...reader.ownServed])]),
    ],
    remotes: reader.remotes,
    resources: reader.resources,
    shown,
  };
}

class ToolReader {
  readonly declared: DeclaredTool[] = [];
  readonly served: string[] = [];
  /** Those that the server runs for any request that asks for them. */
  readonly ownServed: string[] = [];
  /** Tools of servers whose calls wait for an approval. */
  readonly asking: string[] = [];
  readonly remotes: RemoteServer[] = [];
  resources: ToolResources = {};
  readonly #plugins: Plugins;
  readonly #servers: readonly ListedServer[];

  constructor(plugins: Plugins, servers: readonly ListedServer[]) {
    this.#plugins = plugins;
    this.#servers = servers;
  }

  /** The names that the model is offered for tools of a server. @param name the server's own; null for all of them */
  offered(label: string, name: string | null): readonly string[] {
    const tools = this.remotes.find((remote) => remote.label === label)?.tools ?? {};
    return Object.keys(tools).filter((offered) => name === null || tools[offered] === name);
  }

  read(tool: GivenTool, param: string): void {
    const { type } = tool;
    if (IS_WEB_SEARCH.test(type)) return this.#webSearch();
    switch (type) {
      case 'function':
        return this.#add(functionOf(validate(functionTool, tool, false, param)));
      case 'custom': {
        const { name, description, format } = validate(customTool, tool, false, param);
        const custom = {
          name,
          ...(description != null && { description }),
          ...(format != null && { format: chatFormat(format) }),
        };
        return this.#add({ type: 'custom', custom });
      }
      case 'namespace':
        return this.#namespace(validate(namespaceTool, tool, false, param), param);
      case 'file_search':
        return this.#fileSearch(validate(fileSearchTool, tool, false, param), param);
      case 'code_interpreter': {
        const { container } = validate(codeTool, tool, false, param);
        const fileIds = typeof container === 'object' ? (container?.file_ids ?? []) : [];
        if (fileIds.length > 0)
          this.resources = { ...this.resources, code_interpreter: { file_ids: fileIds } };
        return this.#add({ type: 'code_interpreter' });
      }
      case 'mcp':
        // After all others: their names are taken.
        return;
      default:
        throw unknownTool(type, `${param}.type`);
    }
  }

  /** Adds the tools of the servers, under names that nothing else has. */
  readServers(): void {
    const taken = new Set([
      ...offeredTools(this.declared).map(toolName),
      ...this.#plugins.list().map(({ tool }) => tool.name),
    ]);
    for (const server of this.#servers) {
      const tools: Record<string, string> = {};
      for (const tool of server.tools) {
        const { name: own, description, parameters } = tool;
        const name = freeName(server.label, own, taken);
        taken.add(name);
        tools[name] = own;
        this.served.push(name);
        if (server.needsApproval(tool)) this.asking.push(name);
        this.#add({ type: 'function', function: { name, description, parameters, strict: false } });
      }
      this.remotes.push({ label: server.label, tools, is_listed: server.isNew });
    }
  }

  #add(tool: DeclaredTool): void {
    this.declared.push(tool);
  }

  /** Clients such as Codex always declare it, so where this server has no search it is left out. */
  #webSearch(): void {
    const plugin = this.#plugins.answers(WEB_SEARCH) ? this.#plugins.find(WEB_SEARCH) : null;
    if (plugin === null || this.served.includes(WEB_SEARCH)) return;
    const { name, description, parameters } = plugin;
    this.served.push(name);
    this.ownServed.push(name);
    this.#add({ type: 'function', function: { name, description, parameters, strict: false } });
  }

  #namespace({ tools: inner }: z.infer<typeof namespaceTool>, param: string): void {
    inner.forEach((tool, index) => {
      const place = `${param}.tools[${index}]`;
      const named = validate(anyTool, tool, false, place);
      if (named.type === 'mcp' || named.type === 'namespace') throw nestedTool(named.type, `${place}.type`);
      this.read(named, place);
    });
  }

  #fileSearch(tool: z.infer<typeof fileSearchTool>, param: string): void {
    if (tool.filters != null)
      throw invalid(
        `${param}.filters`,
        `Filters of 'file_search' are not supported by this server yet. Leave '${param}.filters' out, or search with POST /vector_stores/{id}/search.`,
      );
    const { ranker, score_threshold: threshold } = tool.ranking_options ?? {};
    const ranking_options: RankingOptions = { ranker: ranker ?? 'auto', score_threshold: threshold ?? 0 };
    this.resources = { ...this.resources, file_search: { vector_store_ids: tool.vector_store_ids } };
    this.#add({
      type: 'file_search',
      file_search: {
        ...(tool.max_num_results != null && { max_num_results: tool.max_num_results }),
        ranking_options,
      },
    });
  }
}

function functionOf({ name, description, parameters, strict }: z.infer<typeof functionTool>): FunctionTool {
  const schema = parameters ?? shapes.EMPTY_SCHEMA;
  return {
    type: 'function',
    function: { name, description: description ?? '', parameters: schema, strict: strict ?? false },
  };
}

/** A grammar is nested in the words of chats, and flat here. */
function chatFormat(format: unknown): unknown {
  const read = z.looseObject({ type: z.literal('grammar') }).safeParse(format);
  if (!read.success || 'grammar' in read.data) return format;
  const { type, ...grammar } = read.data;
  return { type, grammar };
}

const namedChoice = z.looseObject({ type: z.string(), name: z.string().min(1) });
const namedFields = z.object({
  type: z.string(),
  name: z.string().nullish(),
  server_label: z.string().nullish(),
});
const choiceFields = namedFields.extend({
  mode: z.string().nullish(),
  tools: z.array(namedFields).optional(),
});
const serverChoice = z.looseObject({ server_label: z.string().min(1), name: z.string().min(1).nullish() });
const allowedChoice = z.looseObject({
  type: z.literal('allowed_tools'),
  mode: z.enum(['auto', 'required']).nullish(),
  tools: z.array(z.looseObject({ type: z.string(), name: z.string().nullish() })),
});

/** The names of the tools that a choice allows; null where it allows all. */
function allowedIn(choice: GivenChoice, reader: ToolReader): readonly string[] | null {
  if (typeof choice !== 'object') return null;
  // One that names a server is for any of its tools.
  if (choice?.type === 'mcp') return ofServer(validate(serverChoice, choice, false, 'tool_choice'), reader);
  if (choice?.type !== 'allowed_tools') return null;
  const { tools: named } = validate(allowedChoice, choice, false, 'tool_choice');
  return named.flatMap(({ type, name, ...rest }, index) => {
    if (type === 'mcp')
      return ofServer(
        validate(serverChoice, { type, name, ...rest }, false, `tool_choice.tools[${index}]`),
        reader,
      );
    return IS_WEB_SEARCH.test(type) ? [WEB_SEARCH] : [name ?? type];
  });
}

/** @throws {ApiError} 400 for a server or tool that the request has not. */
function ofServer(
  { server_label: label, name }: z.infer<typeof serverChoice>,
  reader: ToolReader,
): readonly string[] {
  const names = reader.offered(label, name ?? null);
  if (names.length > 0) return names;
  const what =
    name == null ? `MCP server '${echo(label)}'` : `'${echo(name)}' of MCP server '${echo(label)}'`;
  throw invalid('tool_choice', `Tool choice ${what} not found in 'tools' parameter.`);
}

function choiceOf(choice: GivenChoice, { served }: ToolReader): ToolChoice {
  if (choice == null) return 'auto';
  if (typeof choice === 'string') return choice;
  if (IS_WEB_SEARCH.test(choice.type)) {
    if (!served.includes(WEB_SEARCH)) throw unknownTool(choice.type, 'tool_choice.type');
    return { type: 'function', function: { name: WEB_SEARCH } };
  }
  switch (choice.type) {
    case 'mcp':
      return 'required';
    case 'allowed_tools':
      return validate(allowedChoice, choice, false, 'tool_choice').mode ?? 'auto';
    case 'function':
      return {
        type: 'function',
        function: { name: validate(namedChoice, choice, false, 'tool_choice').name },
      };
    case 'custom':
      return { type: 'custom', custom: { name: validate(namedChoice, choice, false, 'tool_choice').name } };
    case 'file_search':
    case 'code_interpreter':
      return { type: choice.type };
    default:
      throw unknownTool(choice.type, 'tool_choice.type');
  }
}

/** A name for a tool of a server: its own, or one that begins with the server's label. */
function freeName(label: string, own: string, taken: ReadonlySet<string>): string {
  const names = [own, `${label}_${own}`].map(safeName);
  for (let number = 2; ; number += 1) {
    // An object cannot have a field of that name.
    const free = names.find((name) => name !== '' && name !== '__proto__' && !taken.has(name));
    if (free !== undefined) return free;
    names.push(safeName(`${label.slice(0, 20)}_${number}_${own}`));
  }
}

/** What servers offer joins what the request declares, and both are written with each step of the run. */
function requireFit(tools: readonly DeclaredTool[], servers: readonly ListedServer[]): void {
  if (servers.length === 0) return;
  const bytes = jsonBytes(tools);
  if (tools.length <= shapes.MAX_TOOLS && bytes <= shapes.MAX_TOOLS_BYTES) return;
  const text = `Invalid 'tools': too many. With those of the MCP servers a response may have ${shapes.MAX_TOOLS} tools and ${shapes.MAX_TOOLS_BYTES} bytes of them, but this one has ${tools.length} and ${bytes}. Choose among them by 'allowed_tools'.`;
  throw new ApiError(400, text, { param: 'tools', code: 'array_above_max_length' });
}

function unknownTool(type: string, param: string): ApiError {
  const text = `The tool '${echo(type)}' is not supported by this server. It has function, custom, namespace, mcp, web_search, file_search and code_interpreter.`;
  return new ApiError(400, text, { param, code: 'unsupported_tool' });
}

function nestedTool(type: string, param: string): ApiError {
  const text = `A tool of the type '${type}' cannot be in a namespace. Put it beside the namespace, into 'tools'.`;
  return new ApiError(400, text, { param, code: 'unsupported_tool' });
}

/** A choice as it is shown again: its own fields. Clients send whole declarations with what lets into servers. */
function shownChoice(choice: object): object {
  const shown = choiceFields.safeParse(choice);
  return shown.success ? shown.data : {};
}

function invalid(param: string, text: string): ApiError {
  return new ApiError(400, text, { param, code: 'invalid_value' });
}

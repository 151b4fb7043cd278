/** Which of the server's own tools a run has, and which of the run's calls the worker answers. */
import type { Plugins, Tool } from '../runs/tool.ts';
import type { AssistantTool, FunctionTool } from '../runs/thread.ts';

/** The tools of a run, and the names of those that the worker answers itself. */
export interface RunTools {
  readonly tools: readonly AssistantTool[];
  readonly serverTools: readonly string[];
}

/**
 * Clients expect to answer the calls of the functions they declare, so they choose who answers: `metadata.auto_tools`
 * is `true`, for all declared functions that the server has, or a comma-separated list of the server's tools. Tools in
 * the list need not be declared: the server knows its own tools.
 * @param asked the value of `auto_tools`, if there is one
 */
export function withPlugins(
  declared: readonly AssistantTool[],
  asked: string | null,
  plugins: Plugins,
): RunTools {
  if (asked === null) return { tools: declared, serverTools: [] };
  const names = new Set(declared.flatMap((tool) => (tool.type === 'function' ? tool.function.name : [])));
  const named = asked.trim() === 'true' ? names : new Set(asked.split(',').map((name) => name.trim()));
  const added = [...named.difference(names)].flatMap((name) => {
    const plugin = plugins.find(name);
    return plugin === null ? [] : [declarationOf(plugin)];
  });
  const serverTools = [...named].filter((name) => plugins.answers(name));
  return { tools: asServed([...declared, ...added], serverTools, plugins), serverTools };
}

/**
 * Which of the server's tools wait for an approval before each call: `metadata.approve` is `true`, for all of them, or a
 * comma-separated list.
 * @param asked the values of `approve`: the assistant's and the run's. What either demands is needed.
 */
export function approvalsOf(
  asked: readonly (string | undefined)[],
  serverTools: readonly string[],
): readonly string[] {
  const named = asked.flatMap((value = '') => value.split(',').map((name) => name.trim().toLowerCase()));
  // What is written carelessly asks for more approvals, not for fewer.
  if (named.includes('true') || named.includes('*')) return serverTools;
  return serverTools.filter((name) => named.includes(name.toLowerCase()));
}

/**
 * `tools`, where those of `serverTools` that were declared without a schema get the server's own (and its description,
 * where they have none): a model gives no arguments that it was not told of.
 */
export function asServed(
  tools: readonly AssistantTool[],
  serverTools: readonly string[],
  plugins: Plugins,
): readonly AssistantTool[] {
  return tools.map((tool) => {
    if (tool.type !== 'function') return tool;
    const { name, parameters } = tool.function;
    const plugin = serverTools.includes(name) && isBare(parameters) ? plugins.find(name) : null;
    if (plugin === null) return tool;
    const served = declarationOf(plugin);
    return { ...served, function: { ...served.function, ...described(tool) } };
  });
}

function described({ function: { description } }: FunctionTool): { readonly description?: string } {
  return description ? { description } : {};
}

/** Whether a schema says nothing: `{}`, or the placeholder stored for a function that came without one. */
function isBare(parameters: FunctionTool['function']['parameters']): boolean {
  return Object.entries(parameters).every(
    ([key, value]) => key === 'type' || (key === 'properties' && JSON.stringify(value) === '{}'),
  );
}

function declarationOf({ name, description, parameters }: Tool): FunctionTool {
  return { type: 'function', function: { name, description, parameters, strict: false } };
}

/** Which of the server's own tools a run has, and which of its calls the worker answers. */
import type { Plugins, Tool } from '../runs/tool.ts';
import type { FunctionTool } from '../runs/thread.ts';

/** The tools of a run, and the names of those whose calls the worker answers itself. */
export interface RunTools {
  readonly tools: readonly FunctionTool[];
  readonly serverTools: readonly string[];
}

/**
 * Clients expect to answer the calls of the functions they declare, so who answers is their choice: `metadata.auto_tools`
 * is `true`, for all declared functions that the server has, or names the server's tools with commas between. What is
 * named there need not be declared: the server knows its own tools.
 * @param asked the value of `auto_tools`, if there is one
 */
export function withPlugins(
  declared: readonly FunctionTool[],
  asked: string | null,
  plugins: Plugins,
): RunTools {
  if (asked === null) return { tools: declared, serverTools: [] };
  const names = new Set(declared.map((tool) => tool.function.name));
  const named = asked.trim() === 'true' ? names : new Set(asked.split(',').map((name) => name.trim()));
  const added = [...named.difference(names)].flatMap((name) => {
    const plugin = plugins.find(name);
    return plugin === null ? [] : [declarationOf(plugin)];
  });
  return {
    tools: [...declared, ...added],
    serverTools: [...named].filter((name) => plugins.answers(name)),
  };
}

function declarationOf({ name, description, parameters }: Tool): FunctionTool {
  return { type: 'function', function: { name, description, parameters, strict: false } };
}

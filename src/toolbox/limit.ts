/**
 * A source with only some of its tools. The others are not refused; for every caller they do not exist. They are not
 * listed, found or run, and a model's calls of them go to the client, as on a server that never had them.
 */
import type { Tool, ToolSource } from '../runs/tool.ts';

/**
 * The source with only the tools of these names. Built-in tools that the caller's device answers stay, because they
 * cost the operator nothing.
 */
export function limitedTo(names: readonly string[], source: ToolSource): ToolSource {
  const isThere = ({ name, answeredBy }: Tool): boolean =>
    names.includes(name) || (source.type === 'built_in' && answeredBy === 'device');
  return {
    type: source.type,
    from: source.from,
    tools: () => source.tools().filter(isThere),
    health: () => source.health(),
    close: () => source.close(),
  };
}

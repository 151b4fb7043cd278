/**
 * A source of which only some tools are there. The others are not refused but missing, at every way in: they are not listed,
 * not found, not run, and a model's calls of them are the client's to answer, as they are where a server never had them.
 */
import type { Tool, ToolSource } from '../runs/tool.ts';

/** The source with no tools but those of these names. Our own tools that the caller's device answers cost nobody anything. */
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

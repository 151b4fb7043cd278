/**
 * Bounds for servers that come with requests. Anybody may run one, to harm us as well: what it sends must fit into little memory
 * and cost little time to read.
 */
import { isRecord } from '../../runs/record.ts';

/** Of one answer. Parsed JSON can take twenty times as much memory. */
export const FOREIGN_MESSAGE_BYTES = 512 * 1024;
/** Of all pages of a list of tools, with the parts that are not kept. */
export const FOREIGN_LIST_BYTES = 2 * 1024 * 1024;
/** Of the tools that are kept. */
export const FOREIGN_KEPT_BYTES = 512 * 1024;

const HINTS = ['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint'];

/** What a tool is offered and called by. Not its output schema: a pattern can take for ever, and so can compiling one. */
export function foreignPart(tool: unknown): unknown {
  if (!isRecord(tool)) return tool;
  const { name, title, description, inputSchema, annotations } = tool;
  return {
    name,
    ...(title !== undefined && { title }),
    ...(description !== undefined && { description }),
    inputSchema,
    ...(isRecord(annotations) && { annotations: hintsOf(annotations) }),
  };
}

function hintsOf(annotations: Readonly<Record<string, unknown>>): Readonly<Record<string, boolean>> {
  const hints: Record<string, boolean> = {};
  for (const name of HINTS) {
    const hint = annotations[name];
    if (typeof hint === 'boolean') hints[name] = hint;
  }
  return hints;
}

/** The `include[]` of queries: what is shown of steps beyond the usual. */
import { z } from 'zod';
import type { CallView } from '../../runs/calls/kind.ts';
import type { Call } from '../http/call.ts';

/** The one value that the hosted API knew: the texts that a file search has found. */
const CONTENTS = 'step_details.tool_calls[*].file_search.results[*].content';

const values = z
  .union([z.literal(CONTENTS).transform((value) => [value]), z.array(z.literal(CONTENTS))])
  .optional();
const includeQuery = z.object({ include: values });

/** How the caller wants to see calls. @throws {ApiError} 400 for a value that nothing is known by */
export function viewOf(call: Call): CallView {
  const { include = [] } = call.query(includeQuery);
  return { withContents: include.length > 0 };
}

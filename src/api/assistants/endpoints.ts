/** The Assistants API: its endpoints, in the order in which their paths are tried. */
import type { Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import { assistantEndpoints } from './assistants.ts';
import { importEndpoints } from './import.ts';
import { messageEndpoints } from './messages.ts';
import { runListEndpoints } from './run-list.ts';
import { runEndpoints } from './runs.ts';
import { threadEndpoints } from './threads.ts';
import { toolOutputEndpoints } from './tool-outputs.ts';
import { traceEndpoints } from './trace.ts';

export function assistantsApi(services: Services): readonly Endpoint[] {
  return [
    ...assistantEndpoints(services),
    // `/threads/runs` before `/threads/:thread_id`, or a thread named "runs" would be modified.
    ...runEndpoints(services),
    ...runListEndpoints(services),
    ...traceEndpoints(services),
    ...toolOutputEndpoints(services),
    ...threadEndpoints(services),
    ...messageEndpoints(services),
    ...importEndpoints(services),
  ];
}

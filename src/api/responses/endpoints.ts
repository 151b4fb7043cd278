/** The Responses and Conversations API, in the order in which their paths are tried. */
import type { Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import { conversationEndpoints } from './conversations.ts';
import { compactEndpoint } from './compaction.ts';
import { socketEndpoint } from './connection.ts';
import { responseEndpoints } from './responses.ts';

export function responsesApi(services: Services): readonly Endpoint[] {
  return [
    socketEndpoint(services),
    compactEndpoint(services),
    ...responseEndpoints(services),
    ...conversationEndpoints(services),
  ];
}

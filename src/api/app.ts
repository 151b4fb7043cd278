/**
 * The table of contents of the API: middleware in order, the endpoints under their base paths, and what everything else
 * is answered with.
 */
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Router } from 'express';
import { notFound, unknownRoute, unsupported, wrongMethod } from '../errors.ts';
import type { Tally } from '../metrics.ts';
import { authenticate, identify, type AuthMode } from './http/auth.ts';
import { bodyReader, type BodyLimits } from './http/body.ts';
import { allowOrigins, checkFetchSite, checkOrigin, type Origins } from './http/cross-origin.ts';
import { renderError, toHandler, type Endpoint, type EndpointOptions } from './http/endpoint.ts';
import { agentError } from './agents/frames.ts';
import { agentEndpoints, isAgentPath } from './agents/execute.ts';
import { chatEndpoint, type DeviceSettings, type ProfileName } from './chat/endpoint.ts';
import { assistantEndpoints } from './assistants/assistants.ts';
import { importEndpoints } from './assistants/import.ts';
import { memoryEndpoints } from './chat/memory.ts';
import { messageEndpoints } from './assistants/messages.ts';
import { modelEndpoints } from './models/models.ts';
import { pluginEndpoints } from './plugins/plugins.ts';
import { runEndpoints, runStream } from './assistants/runs.ts';
import { statusEndpoints } from './ops/status.ts';
import { threadEndpoints } from './assistants/threads.ts';
import { toolOutputEndpoints } from './assistants/tool-outputs.ts';
import { checkHost, type HostRules } from './http/host-check.ts';
import { turnAway } from './http/turned-away.ts';
import { once, type OpenStream } from './http/idempotency.ts';
import type { Services } from '../turns/means.ts';

const BASE_PATHS = ['/v1', '/api/assts/v1'];

/** Parts of the hosted API that are not built yet, and what to call them. */
const UNSUPPORTED = {
  '/files': 'Files are',
  '/vector_stores': 'Vector stores are',
  '/responses': 'The Responses API is',
  '/conversations': 'The Conversations API is',
} as const;

export interface AppOptions extends EndpointOptions, HostRules, BodyLimits {
  readonly auth: AuthMode;
  /** Origins whose pages may call the API, besides its own; `*` is every origin. */
  readonly corsOrigins: Origins;
  /** The proxies whose `X-Forwarded-For` is believed: how many there are, or where; express' `trust proxy`. */
  readonly trustProxy: number | readonly string[];
  /** Paths outside the base paths where chat clients and devices find us. */
  readonly devicePaths: readonly { readonly path: string; readonly profile: ProfileName }[];
  readonly chat: DeviceSettings;
}

export function createApp(services: Services, options: AppOptions): Express {
  const reopen: OpenStream = async (ref, after, withThread, call) => {
    const [found, thread] = await Promise.all([services.runs.get(ref), services.objects.threads.get(ref)]);
    if (found === null) throw notFound('run', ref.runId);
    services.pressure.admitStream(call.gone);
    return runStream(services, call, found.stored, after, withThread ? thread : null);
  };
  const resources = [
    ...assistantEndpoints(services),
    // `/threads/runs` before `/threads/:thread_id`, or a thread named "runs" would be modified.
    ...runEndpoints(services),
    ...toolOutputEndpoints(services),
    ...threadEndpoints(services),
    ...messageEndpoints(services),
    ...modelEndpoints(services),
    ...pluginEndpoints(services),
    ...importEndpoints(services),
  ];
  const endpoints = [
    ...resources.map((endpoint) => once(endpoint, services, reopen)),
    // Conversations know their own repetitions (chat/repeat.ts): an answer may be half told.
    ...agentEndpoints(services),
    ...memoryEndpoints(services),
    chatEndpoint(services, '/chat/completions', 'chat', options.chat),
  ];
  const devices = options.devicePaths.map(({ path, profile }) =>
    chatEndpoint(services, path, profile, options.chat),
  );
  const paths = [
    ...endpoints.map(({ method, path }) => `${method} ${BASE_PATHS[0]}${path}`),
    ...devices.map(({ method, path }) => `${method} ${path}`),
  ];

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.set('trust proxy', options.trustProxy);
  app.use(counted(services.figures.requests));
  app.use(identify());
  const refused = turnAway(options.log);
  app.use(checkHost(options, refused), checkOrigin(options.corsOrigins, refused));
  app.use(allowOrigins(options.corsOrigins));
  app.use(router(statusEndpoints(services, paths), options));
  // Behind the status, which links may lead to.
  app.use(checkFetchSite(options.corsOrigins));
  // One for all paths, or each would have guesses of its own.
  const authenticated = authenticate(options.auth, trustsProxy(options));
  // Everything is read as JSON, whatever its content type: shell clients rarely say the right one.
  const body = bodyReader(options);
  for (const base of BASE_PATHS) app.use(base, authenticated, body, router(endpoints, options), later);
  for (const device of devices) app.use(device.path, authenticated, body);
  app.use(router(devices, options));
  app.use((request) => {
    throw unknownRoute(request.method, request.path);
  });
  const onError: ErrorRequestHandler = (error, request, response, _next) =>
    renderError(error, response, options, isAgentPath(request.path) ? agentError : undefined);
  app.use(onError);
  return app;
}

const trustsProxy = ({ trustProxy }: AppOptions): boolean =>
  typeof trustProxy === 'number' ? trustProxy > 0 : trustProxy.length > 0;

/** express' names of the methods. */
const VERBS = { GET: 'get', POST: 'post', DELETE: 'delete' } as const;

function router(endpoints: readonly Endpoint[], options: EndpointOptions): Router {
  const routes = express.Router();
  for (const endpoint of endpoints) {
    routes[VERBS[endpoint.method]](endpoint.path, toHandler(endpoint, options));
  }
  for (const path of new Set(endpoints.map((endpoint) => endpoint.path))) {
    const allowed = endpoints.filter((endpoint) => endpoint.path === path).map(({ method }) => method);
    routes.all(path, (request) => {
      throw wrongMethod(request.method, request.baseUrl + request.path, allowed);
    });
  }
  return routes;
}

/** Counts requests when they are answered, by status; a client that has gone before that counts as 499, as elsewhere. */
function counted(requests: Tally): RequestHandler {
  return (_request, response, next) => {
    response.on('close', () => requests.add(String(response.headersSent ? response.statusCode : 499)));
    next();
  };
}

/** Says of known but missing parts of the API that they are missing, not mistyped. */
const later: RequestHandler = (request, _response, next) => {
  for (const [path, what] of Object.entries(UNSUPPORTED)) {
    if (request.path === path || request.path.startsWith(`${path}/`)) throw unsupported(what, null);
  }
  next();
};

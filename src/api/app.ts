/**
 * The table of contents of the API: middleware in order, the protocols' endpoints under their base paths, and the answer to
 * everything else. A protocol adds endpoints to all base paths, or takes those endpoints and mounts them elsewhere.
 */
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import { unknownRoute } from '../errors.ts';
import { adminEndpoints, type AdminMeans } from './admin/endpoints.ts';
import { agentEndpoints } from './agents/execute.ts';
import { agentRefusals } from './agents/frames.ts';
import { assistantsApi } from './assistants/endpoints.ts';
import { reopen } from './assistants/stream.ts';
import { azureMounts } from './azure/mounts.ts';
import { chatEndpoint, chatEndpoints, type DeviceSettings, type ProfileName } from './chat/endpoint.ts';
import { ConsoleAssets } from './console/assets.ts';
import { consoleEndpoints, forBrowsers } from './console/console.ts';
import { bringsFile, filesApi, type FileSettings } from './files/endpoints.ts';
import { forwardEndpoints, isForm } from './forward/endpoints.ts';
import { areaOf, inArea } from './http/area.ts';
import { authenticate, identify, type AuthMode } from './http/auth.ts';
import { bodyReader, type BodyLimits } from './http/body.ts';
import { allowOrigins, checkFetchSite, checkOrigin, type Origins } from './http/cross-origin.ts';
import { renderError, type Endpoint, type EndpointOptions, type Refusal } from './http/endpoint.ts';
import { checkHost, type HostRules } from './http/host-check.ts';
import { repeatable } from './http/idempotency.ts';
import { router, type Mount } from './http/router.ts';
import { traced, type RequestTraces } from './http/traced.ts';
import { turnAway } from './http/turned-away.ts';
import { SWITCHED } from './http/web-socket.ts';
import { meantPath, readTypedPath } from './http/typed-path.ts';
import { modelEndpoints } from './models/models.ts';
import { statusEndpoints } from './ops/status.ts';
import { pluginEndpoints } from './plugins/plugins.ts';
import { responsesApi } from './responses/endpoints.ts';
import type { Services } from './http/services.ts';
import { storesApi } from './stores/endpoints.ts';
import { usageEndpoints } from './usage/usage.ts';

const BASE_PATHS = ['/v1', '/api/assts/v1'];

/** Protocols with base paths of their own, which may also mount the other protocols' endpoints. */
const ELSEWHERE: readonly ((endpoints: readonly Endpoint[]) => readonly Mount[])[] = [azureMounts];

/** Protocols with their own error envelope. */
const REFUSALS = [agentRefusals];

export interface AppOptions extends EndpointOptions, HostRules, BodyLimits {
  readonly auth: AuthMode;
  /** Origins whose pages may call the API, besides its own; `*` is every origin. */
  readonly corsOrigins: Origins;
  /** The proxies whose `X-Forwarded-For` is trusted: their number or their addresses; express' `trust proxy`. */
  readonly trustProxy: number | readonly string[];
  /** Paths outside the base paths for chat clients and devices. */
  readonly devicePaths: readonly { readonly path: string; readonly profile: ProfileName }[];
  readonly chat: DeviceSettings;
  /** A form that is passed on to a model server. */
  readonly uploadLimitBytes: number;
  readonly files: FileSettings;
  /** Whether the web console is served. */
  readonly console: boolean;
  readonly admin: AdminMeans;
  /** Null where no traces are collected. */
  readonly collector: RequestTraces | null;
}

export function createApp(services: Services, options: AppOptions): Express {
  const openStream = reopen(services);
  const endpoints = [
    ...inArea('assistants', assistantsApi(services)),
    ...inArea('models', modelEndpoints(services)),
    ...inArea('plugins', pluginEndpoints(services)),
    ...inArea('usage', usageEndpoints(services)),
    ...inArea('admin', adminEndpoints(services, options.admin)),
    ...inArea('agents', agentEndpoints(services)),
    ...inArea('chat', chatEndpoints(services, options.chat)),
    ...inArea('files', filesApi(services, options.files)),
    ...inArea('stores', storesApi(services)),
    ...inArea('responses', responsesApi(services)),
    ...inArea('forward', forwardEndpoints(services, options)),
  ].map((endpoint) => repeatable(endpoint, services, openStream));
  const mounts: readonly Mount[] = [
    ...BASE_PATHS.map((base) => ({ base, endpoints })),
    ...ELSEWHERE.flatMap((mount) => mount(endpoints)),
  ];
  const devices = inArea(
    'device',
    options.devicePaths.map(({ path, profile }) =>
      chatEndpoint(services, meantPath(path), profile, options.chat),
    ),
  );
  const menus = menusBeside(devices, endpoints);
  const paths = [...pathsOf(mounts), ...devices.map(({ method, path }) => `${method} ${path}`)];

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.set('trust proxy', options.trustProxy);
  app.use(counted(services.figures));
  app.use(identify());
  if (options.collector !== null) app.use(traced(options.collector));
  const turnedAway = turnAway(options.log);
  app.use(checkHost(options, turnedAway), checkOrigin(options.corsOrigins, turnedAway));
  app.use(allowOrigins(options.corsOrigins));
  app.use(readTypedPath);
  const status = withConsole(options, inArea('ops', statusEndpoints(services, paths)));
  const root = devices.some(({ path }) => path === '/') ? '/' : null;
  app.use(router(status, options, undefined, root));
  // After the status endpoints, because links may lead to those.
  app.use(checkFetchSite(options.corsOrigins));
  // One for all paths; otherwise each path would allow guesses of its own.
  const authenticated = authenticate(options.auth, trustsProxy(options));
  // Everything is read as JSON, whatever its content type: shell clients rarely say the right one.
  const body = bodyReader(options, (request) => isForm(request) || bringsFile(request));
  for (const mount of mounts)
    app.use(mount.base, authenticated, body, router(mount.endpoints, options, mount.refusal));
  const beside = [...devices, ...menus];
  for (const { path } of beside) app.all(path, authenticated, body);
  app.use(router([...beside, ...status.filter(({ path }) => path === root)], options));
  app.use((request) => {
    throw unknownRoute(request.method, request.path);
  });
  for (const { base, refusal } of mounts) if (refusal !== undefined) app.use(base, refused(options, refusal));
  app.use(refused(options));
  return app;
}

/** Adds the web console, which browsers also find at `/`. */
function withConsole(options: AppOptions, status: readonly Endpoint[]): readonly Endpoint[] {
  if (!options.console) return status;
  const assets = new ConsoleAssets();
  const found = status.map((endpoint) => (endpoint.path === '/' ? forBrowsers(endpoint, assets) : endpoint));
  return [...found, ...inArea('console', consoleEndpoints(assets))];
}

/** Answers errors that occur before or outside an endpoint. */
function refused(options: EndpointOptions, refusal?: Refusal): ErrorRequestHandler {
  return (error, request, response, _next) => {
    const owner = REFUSALS.find(({ owns }) => owns(request.path));
    renderError(error, response, options, owner?.refusal ?? refusal);
  };
}

/** The endpoints that list models, beside chat endpoints: apps fill their menus from there. */
function menusBeside(devices: readonly Endpoint[], endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const bases = new Set(
    devices.flatMap(({ path }) => /^(.*)\/(?:chat\/completions\/?)?$/i.exec(path)?.[1] ?? []),
  );
  const menus = endpoints.filter(({ method, path }) => method === 'GET' && path.startsWith('/models'));
  return [...bases].flatMap((base) => menus.map((menu) => ({ ...menu, path: base + menu.path })));
}

/** Every method and path, under the first of its base paths. */
function pathsOf(mounts: readonly Mount[]): readonly string[] {
  const paths = new Map<string, string>();
  for (const { base, endpoints } of mounts) {
    for (const { method, path } of endpoints) {
      const name = `${method} ${path}`;
      if (!paths.has(name)) paths.set(name, `${method} ${base}${path}`);
    }
  }
  return [...paths.values()];
}

const trustsProxy = ({ trustProxy }: AppOptions): boolean =>
  typeof trustProxy === 'number' ? trustProxy > 0 : trustProxy.length > 0;

/** Counts and times answered requests. A client that hangs up before the answer counts as 499, the usual code for that. */
function counted({ answered }: Services['figures']): RequestHandler {
  return (_request, response, next) => {
    const begunMs = performance.now();
    response.on('close', () => {
      const isSocket = response.statusCode === SWITCHED;
      const status = response.headersSent || isSocket ? response.statusCode : 499;
      answered(areaOf(response), status, isSocket ? null : (performance.now() - begunMs) / 1_000);
    });
    next();
  };
}

/** Endpoints under a path: which handler a request reaches, and what is answered when a path has none for the method. */
import express, { type Router } from 'express';
import { wrongMethod } from '../../errors.ts';
import { toHandler, type Endpoint, type EndpointOptions, type Refusal } from './endpoint.ts';

/** express' names of the methods. */
const VERBS = { GET: 'get', POST: 'post', DELETE: 'delete' } as const;

/** Endpoints under a base path. Where two bases begin alike, list the longer one first. */
export interface Mount {
  /** Its parts `:name` and `*name` match anything; endpoints do not see them. */
  readonly base: string;
  readonly endpoints: readonly Endpoint[];
  /** How refusals under the base are worded, unless an endpoint was reached that words its own. */
  readonly refusal?: Refusal;
}

/** @param shared a path whose other methods belong to a later router */
export function router(
  endpoints: readonly Endpoint[],
  options: EndpointOptions,
  refusal?: Refusal,
  shared: string | null = null,
): Router {
  const routes = express.Router();
  for (const endpoint of endpoints) {
    const worded = refusal === undefined ? endpoint : { refusal, ...endpoint };
    routes[VERBS[endpoint.method]](endpoint.path, toHandler(worded, options));
  }
  for (const path of new Set(endpoints.map((endpoint) => endpoint.path))) {
    if (path === shared) continue;
    const allowed = endpoints.filter((endpoint) => endpoint.path === path).map(({ method }) => method);
    routes.all(path, (request) => {
      throw wrongMethod(request.method, request.baseUrl + request.path, allowed);
    });
  }
  return routes;
}

/** Endpoints under a path: which handler a request reaches, and what is said where none does. */
import express, { type Router } from 'express';
import { wrongMethod } from '../../errors.ts';
import { toHandler, type Endpoint, type EndpointOptions, type Refusal } from './endpoint.ts';

/** express' names of the methods. */
const VERBS = { GET: 'get', POST: 'post', DELETE: 'delete' } as const;

/** Endpoints under a base path. Of those whose bases begin alike, the longer base comes first. */
export interface Mount {
  /** Parts such as `:name` and `*name` of it may be anything; no endpoint sees them. */
  readonly base: string;
  readonly endpoints: readonly Endpoint[];
  /** How refusals under the base are worded where the endpoint does not say, or none was reached. */
  readonly refusal?: Refusal;
}

export function router(endpoints: readonly Endpoint[], options: EndpointOptions, refusal?: Refusal): Router {
  const routes = express.Router();
  for (const endpoint of endpoints) {
    const worded = refusal === undefined ? endpoint : { refusal, ...endpoint };
    routes[VERBS[endpoint.method]](endpoint.path, toHandler(worded, options));
  }
  for (const path of new Set(endpoints.map((endpoint) => endpoint.path))) {
    const allowed = endpoints.filter((endpoint) => endpoint.path === path).map(({ method }) => method);
    routes.all(path, (request) => {
      throw wrongMethod(request.method, request.baseUrl + request.path, allowed);
    });
  }
  return routes;
}

/** Endpoints under a path: which handler a request reaches, and what is said where none does. */
import express, { type Router } from 'express';
import { wrongMethod } from '../../errors.ts';
import { toHandler, type Endpoint, type EndpointOptions } from './endpoint.ts';

/** express' names of the methods. */
const VERBS = { GET: 'get', POST: 'post', DELETE: 'delete' } as const;

export function router(endpoints: readonly Endpoint[], options: EndpointOptions): Router {
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

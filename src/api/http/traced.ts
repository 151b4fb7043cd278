/** Spans of requests, where traces are collected. */
import type { RequestHandler } from 'express';
import { noteSpan } from './identity.ts';

/** Collects the spans of requests. */
export interface RequestTraces {
  /** A request begins. @param traceparent as its client sent it */
  request(
    method: string,
    path: string,
    traceparent: string | undefined,
  ): {
    readonly traceparent: string;
    /** @param route the pattern of its path; null where it has none */
    end(route: string | null, status: number): void;
  };
}

/** The usual code for a client that hangs up before the answer. */
const HUNG_UP = 499;

/** Requests that only read are traced where their client does: most ask whether a run is over. */
export function traced(traces: RequestTraces): RequestHandler {
  return (request, response, next) => {
    const { method } = request;
    const parent = request.get('traceparent');
    if (parent === undefined && (method === 'GET' || method === 'HEAD' || method === 'OPTIONS')) {
      next();
      return;
    }
    const span = traces.request(method, request.path, parent);
    noteSpan(response, span.traceparent);
    response.on('close', () => {
      // What express matched; it has no type.
      const route: unknown = request.route;
      const pattern: unknown =
        typeof route === 'object' && route !== null ? Reflect.get(route, 'path') : null;
      span.end(
        typeof pattern === 'string' ? request.baseUrl + pattern : null,
        response.headersSent ? response.statusCode : HUNG_UP,
      );
    });
    next();
  };
}

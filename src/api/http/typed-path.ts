/** Paths as people type them into apps and devices, and as programs join them: each is read as the path that was meant. */
import type { RequestHandler } from 'express';

/** Rewritten in this order; each may make room for the next. */
const MEANT: readonly (readonly [pattern: RegExp, path: string])[] = [
  // The base URL ends in a slash, and the program's paths begin with one.
  [/\/{2,}/g, '/'],
  // The base URL is the whole address of the chat endpoint, and the program adds its paths to that.
  [/\/chat\/completions(?=\/(?:v1\/)*(?:chat\/completions|models)(?:\/|$))/gi, ''],
  // The base URL has the version, and the program adds it again.
  [/^((?:\/openai|\/api\/assts)?\/v1)(?:\/v1)+(?=\/|$)/i, '$1'],
];

/** A script whose variable for the thread is empty means a run there, and must not get one in a new thread. */
const EMPTY_THREAD = /\/threads\/{2,}runs\/*$/i;

/** The path that a typed one means. */
export function meantPath(typed: string): string {
  if (EMPTY_THREAD.test(typed)) return typed;
  return MEANT.reduce((path, [pattern, meant]) => path.replace(pattern, meant), typed);
}

/** Lets every request be for the path that it means; what follows the path stays as it is. */
export const readTypedPath: RequestHandler = (request, _response, next) => {
  const [, origin = '', path = '', rest = ''] =
    /^([a-z][a-z\d+.-]*:\/\/[^/?#]*)?([^?#]*)(.*)$/is.exec(request.url) ?? [];
  const meant = meantPath(path);
  if (meant !== path) request.url = origin + meant + rest;
  next();
};

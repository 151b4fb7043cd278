/**
 * Why a request failed, in words for a model and a log. They name the requested host, but neither the address that it
 * resolved to nor the rest of the URL, where keys may be.
 */
import { ToolError } from '../runs/tool.ts';

/** How much of a model's or a server's text is quoted. */
const MAX_QUOTED = 100;

/** The guard refused the request, or a redirect of it. */
export class RefusedRequest extends ToolError {}

/** The request was sent but failed: unreachable, too slow, too big, broken off. */
export class FailedRequest extends ToolError {}

export type Objection = 'private' | 'port';

/** The refusal or failure in an error or its causes; null when the network is the reason. */
export function wordsFor(error: unknown): ToolError | null {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof ToolError) return at;
  return null;
}

/** @param from the URL that was redirected, when it was a redirect */
export function notUrl(from: URL | undefined): RefusedRequest {
  if (from !== undefined) return refused(from.hostname, 'it was redirected to something that is not a URL');
  return new RefusedRequest('This is not a URL. Write it in full, for example https://example.com/page.');
}

export function wrongScheme(url: URL): RefusedRequest {
  return new RefusedRequest(`Only http and https URLs can be fetched, not '${quote(url.protocol)}'.`);
}

export function withCredentials(url: URL): RefusedRequest {
  return refused(url.hostname, 'its URL has a user name or a password in it');
}

export function wrongDestination(host: string, port: number, objection: Objection): RefusedRequest {
  switch (objection) {
    case 'private':
      return refused(host, 'it leads to a private address, which the operator has not allowed');
    case 'port':
      return refused(
        host,
        `only ports 80 and 443 can be fetched, and the operator has not allowed port ${port}`,
      );
  }
}

export function blockedPort(url: URL): RefusedRequest {
  return refused(url.hostname, `the fetch standard blocks port ${url.port}`);
}

export function downgraded(url: URL): RefusedRequest {
  return refused(url.hostname, 'it was redirected from https to http');
}

export function redirectedTooOften(url: URL, maxRedirects: number): RefusedRequest {
  return refused(url.hostname, `it was redirected more than ${maxRedirects} times`);
}

export function unwantedRedirect(url: URL): RefusedRequest {
  return refused(url.hostname, 'it was redirected, which the request does not permit');
}

export function timedOut(url: URL, timeoutMs: number): FailedRequest {
  return new FailedRequest(`${quote(url.hostname)} did not finish its answer within ${timeoutMs / 1000} s.`);
}

export function tooBig(url: URL, maxBytes: number): FailedRequest {
  return new FailedRequest(`${quote(url.hostname)} sent more than ${maxBytes} bytes.`);
}

export function oddStatus(url: URL, status: number): FailedRequest {
  return new FailedRequest(
    `${quote(url.hostname)} answered with status ${status}, which HTTP does not have.`,
  );
}

/** No answer came. The network's own reason goes only into the log, as the cause. */
export function unreachable(url: URL, cause: unknown): FailedRequest {
  return new FailedRequest(`${quote(url.hostname)} could not be reached.`, { cause });
}

export function brokeOff(url: URL, cause: unknown): FailedRequest {
  return new FailedRequest(`${quote(url.hostname)} broke off in the middle of its answer.`, { cause });
}

function refused(host: string, why: string): RefusedRequest {
  return new RefusedRequest(`The request to ${quote(host)} was refused: ${why}.`);
}

function quote(text: string): string {
  const line = text.replaceAll(/\p{Cc}+/gu, ' ');
  return line.length > MAX_QUOTED ? `${line.slice(0, MAX_QUOTED)}…` : line;
}

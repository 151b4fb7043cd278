/**
 * Which web pages may call the API. Browsers hide the answers from foreign pages but still send their requests, so these
 * must be refused before anything is done. Programs other than browsers send none of the headers that are checked here.
 */
import cors from 'cors';
import type { Request, RequestHandler } from 'express';
import { foreignPage } from '../../errors.ts';
import type { TurnAway } from './turned-away.ts';

/**
 * Origins such as `https://chat.example.com`, in lower case; `https://*.example.com` means every origin below it, `*`
 * every origin.
 */
export type Origins = readonly string[];

/** Refuses requests of pages with an `Origin` header, unless the origin is this server's own or listed. */
export function checkOrigin(origins: Origins, refused: TurnAway): RequestHandler {
  if (origins.includes('*')) return (_request, _response, next) => next();
  return (request, _response, next) => {
    const { origin } = request.headers;
    if (origin === undefined || isListed(origins, origin) || isSameOrigin(origin, request)) return next();
    refused('CORS_ORIGINS', origin);
    throw foreignPage(origin);
  };
}

/**
 * Refuses what foreign pages load without an `Origin` header: pictures, scripts, frames, links. Whether those pages are
 * listed is unknown.
 */
export function checkFetchSite(origins: Origins): RequestHandler {
  if (origins.includes('*')) return (_request, _response, next) => next();
  return (request, _response, next) => {
    const site = request.get('sec-fetch-site');
    if (request.headers.origin === undefined && (site === 'cross-site' || site === 'same-site'))
      throw foreignPage(null);
    next();
  };
}

/**
 * Lets browsers show the answers to listed pages. They send a dozen headers of their own, so a preflight may ask for any.
 * Programs name no origin, and need none of this.
 */
export function allowOrigins(origins: Origins): RequestHandler {
  const allow = cors({
    origin: origins.includes('*') ? '*' : origins.map(patternOf),
    methods: ['GET', 'POST', 'DELETE'],
    exposedHeaders: [
      'openai-poll-after-ms',
      'x-request-id',
      'x-thread-id',
      'retry-after',
      'retry-after-ms',
      'x-should-retry',
      'server-timing',
    ],
    maxAge: 86_400,
  });
  return (request, response, next) => {
    if (request.headers.origin === undefined && request.method !== 'OPTIONS') next();
    else allow(request, response, next);
  };
}

function isListed(origins: Origins, origin: string): boolean {
  return origins
    .map(patternOf)
    .some((listed) => (typeof listed === 'string' ? listed === origin : listed.test(origin)));
}

/** `https://*.example.com` is every origin below it. */
function patternOf(listed: string): string | RegExp {
  if (!listed.includes('://*.')) return listed;
  const [scheme = '', domain = ''] = listed.split('*');
  return new RegExp(`^${RegExp.escape(scheme)}[^/]+${RegExp.escape(domain)}$`);
}

/** Whether the page came from this server. Its scheme may differ from ours, because proxies terminate TLS. */
function isSameOrigin(origin: string, { headers }: Request): boolean {
  if (headers.host === undefined || !/^https?:/.test(origin) || !URL.canParse(origin)) return false;
  const { protocol, host } = new URL(origin);
  const here = `${protocol}//${headers.host}`;
  return URL.canParse(here) && new URL(here).host === host;
}

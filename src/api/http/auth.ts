/** Who asks: gives every request its id and its project, and refuses wrong keys. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Request, RequestHandler } from 'express';
import { missingKey, oldBeta, wrongKey } from '../../errors.ts';
import { newId } from '../../runs/ids.ts';
import { addressOf } from './address.ts';
import { Guesses } from './guesses.ts';
import { API_HEADERS } from './headers.ts';

/**
 * `none`: anybody may ask (only ever bound to loopback). `key`: one shared key. `passthrough`: the caller's key is the
 * upstream's, and whoever has the same key is in the same project.
 */
export type AuthMode =
  | { readonly type: 'none' }
  | { readonly type: 'key'; readonly key: string }
  | { readonly type: 'passthrough' };

/** The one project there is, until keys belong to projects. */
const DEFAULT_PROJECT = 'default';

const apiHeaders = new Headers(API_HEADERS);

/** Marks the request and its answer with an id and the headers of every answer, before anything can go wrong. */
export function identify(): RequestHandler {
  return (_request, response, next) => {
    const requestId = newId('req');
    response.locals['requestId'] = requestId;
    response.setHeader('x-request-id', requestId);
    response.setHeader('openai-version', '2020-10-01');
    response.setHeaders(apiHeaders);
    next();
  };
}

/**
 * Lets requests with the right key pass and gives them their project; wrong keys are answered ever later (guesses.ts).
 * Keys arrive as `Authorization: Bearer k`, `Authorization: k`, `X-API-Key` or `api-key`.
 * @param trustsProxy whether a proxy says where clients are; without one, many may have the address of a cloud or a router
 */
export function authenticate(mode: AuthMode, trustsProxy: boolean): RequestHandler {
  const isRight = mode.type === 'key' ? keyTest(mode.key) : null;
  const guesses = new Guesses();
  return async (request, response, next) => {
    const key = keyOf(request);
    if (mode.type !== 'none' && key === '') throw missingKey(mode.type === 'passthrough');
    if (isRight !== null) {
      const address = addressOf(request);
      guesses.admit(address);
      if (!isRight(key)) {
        await guesses.wrong(address, digestOf(key));
        throw wrongKey(masked(key));
      }
      guesses.right(address);
    }
    if (request.get('openai-beta')?.includes('assistants=v1') === true) throw oldBeta();
    response.locals['key'] = key === '' ? '' : digestOf(key);
    // What callers without a key are called; it tells them apart no further than their addresses do.
    response.locals['caller'] = digestOf(key || addressOf(request));
    if (trustsProxy) response.locals['address'] = addressOf(request);
    response.locals['project'] = mode.type === 'passthrough' ? `p-${digestOf(key)}` : DEFAULT_PROJECT;
    if (mode.type === 'passthrough') response.locals['upstreamKey'] = key;
    next();
  };
}

function keyOf(request: Request): string {
  const authorization = request
    .get('authorization')
    ?.replace(/^bearer(\s+|$)/i, '')
    .trim();
  return authorization || request.get('x-api-key')?.trim() || request.get('api-key')?.trim() || '';
}

/** A name of 32 characters for the owners of a key that does not tell the key. */
function digestOf(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 32);
}

/** Compares digests, which are of equal length, in constant time. */
function keyTest(right: string): (key: string) => boolean {
  const salt = randomBytes(32);
  const digest = (key: string): Buffer => createHmac('sha256', salt).update(key).digest();
  const expected = digest(right);
  return (key) => timingSafeEqual(digest(key), expected);
}

/** `sk-a****wxyz`: enough to recognise one's own key, too little to use it. */
function masked(key: string): string {
  return key.length < 12 ? '****' : `${key.slice(0, 4)}****${key.slice(-4)}`;
}

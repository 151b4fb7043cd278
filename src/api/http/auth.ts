/** Authentication: gives every request its id and its project, and refuses wrong keys. */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import { ApiError, missingKey, oldBeta, wrongKey } from '../../errors.ts';
import { newId } from '../../runs/ids.ts';
import { addressOf } from './address.ts';
import { Guesses } from './guesses.ts';
import { API_HEADERS } from './headers.ts';
import { noteHolder, noteRequest, type KeyHolder } from './identity.ts';

/** The owner of a key. */
type KeyOwner = Pick<KeyHolder, 'project' | 'upstreamKey' | 'isOperator'>;

/** How callers are authenticated, and which project they get. */
export interface AuthMode {
  /** Whether a request without a key is refused. */
  readonly needsKey: boolean;
  /** Whether callers bring a key of the model server. */
  readonly isUpstreams: boolean;
  /** Whether a key can be wrong, so that keys can be guessed. */
  readonly canBeWrong: boolean;
  /** Looks a key up, and compares in constant time; null for an unknown key. */
  readonly ownerOf: (key: string) => Promise<KeyOwner | null>;
}

/** The project of callers whose key does not name one. */
const DEFAULT: KeyOwner = { project: 'default', upstreamKey: null, isOperator: false };
const OPERATOR: KeyOwner = { ...DEFAULT, isOperator: true };

/** No key is needed (allowed only when bound to loopback). */
const ANYBODY: AuthMode = {
  needsKey: false,
  isUpstreams: false,
  canBeWrong: false,
  ownerOf: async () => DEFAULT,
};

/** The caller's key is a key of the upstream; callers with the same key share a project. */
const PASSTHROUGH: AuthMode = {
  needsKey: true,
  isUpstreams: true,
  canBeWrong: false,
  ownerOf: async (key) => ({ project: `p-${digestOf(key)}`, upstreamKey: key, isOperator: false }),
};

/** All callers share one key. */
function sharedKey(key: string): AuthMode {
  const isRight = keyTest(key);
  return {
    needsKey: true,
    isUpstreams: false,
    canBeWrong: true,
    ownerOf: async (given) => (isRight(given) ? DEFAULT : null),
  };
}

/** The mode that the operator has chosen. */
export function authMode(
  auth: 'none' | 'key' | 'passthrough',
  keys: { readonly apiKey?: string | undefined; readonly adminKey?: string | undefined },
): AuthMode {
  const mode = modeOf(auth, keys);
  const { adminKey } = keys;
  if (adminKey !== undefined) return withOperators(mode, keyTest(adminKey));
  // Callers with keys of their own are strangers to each other.
  return mode.isUpstreams ? mode : { ...mode, ownerOf: async (key) => (await mode.ownerOf(key)) && OPERATOR };
}

function modeOf(
  auth: 'none' | 'key' | 'passthrough',
  { apiKey }: { readonly apiKey?: string | undefined },
): AuthMode {
  switch (auth) {
    case 'none':
      return ANYBODY;
    case 'key':
      return sharedKey(apiKey ?? '');
    case 'passthrough':
      return PASSTHROUGH;
  }
}

/** Whoever has the operators' key needs no other. */
function withOperators(mode: AuthMode, isOperators: (key: string) => boolean): AuthMode {
  return { ...mode, ownerOf: async (key) => (isOperators(key) ? OPERATOR : mode.ownerOf(key)) };
}

/**
 * How refusals of those who are no operators are held back, by the response: with some modes every other key is right. There other
 * answers tell a guess as well; the length of the operators' key is what protects it (config/web.ts).
 */
const holdBack = new WeakMap<Response, () => Promise<void>>();

/**
 * Ends a request that only operators may make. The answers to many keys from one address are delayed more and more, as those
 * to wrong keys are.
 * @throws {ApiError} always: 403, or 429 where too many such answers are delayed already.
 */
export async function refuseStranger(response: Response): Promise<never> {
  await holdBack.get(response)?.();
  throw operatorNeeded();
}

/** For what shows more than one project. */
function operatorNeeded(): ApiError {
  const message =
    "Only operators of this server may see this. Send the server's ADMIN_KEY as your API key; where none is set, its operator sets one and starts the API again.";
  return new ApiError(403, message, { type: 'permission_error', code: 'operator_needed' });
}

const apiHeaders = Object.entries(API_HEADERS);

/** Marks the request and its answer with an id and the headers of every answer, before anything can go wrong. */
export function identify(): RequestHandler {
  return (_request, response, next) => {
    const requestId = newId('req');
    noteRequest(response, requestId);
    response.setHeader('x-request-id', requestId);
    response.setHeader('openai-version', '2020-10-01');
    for (const [name, value] of apiHeaders) response.setHeader(name, value);
    next();
  };
}

/**
 * Lets requests with a right key pass and gives them their project. The answers to wrong keys are delayed more and
 * more (guesses.ts). Keys arrive as `Authorization: Bearer k`, `Authorization: k`, `X-API-Key` or `api-key`.
 * @param trustsProxy whether a proxy reports clients' addresses; without one, many clients may share the address of a
 *   cloud or a router
 */
export function authenticate(mode: AuthMode, trustsProxy: boolean): RequestHandler {
  const guesses = new Guesses();
  return async (request, response, next) => {
    const key = keyOf(request);
    if (mode.needsKey && key === '') throw missingKey(mode.isUpstreams);
    const digest = key === '' ? '' : digestOf(key);
    const address = addressOf(request);
    const look = async (): Promise<KeyOwner | null> => mode.ownerOf(key);
    const owner = mode.canBeWrong ? await guesses.check(address, digest, look) : await look();
    if (owner === null) throw wrongKey(masked(key));
    if (request.get('openai-beta')?.includes('assistants=v1') === true) throw oldBeta();
    if (!owner.isOperator && digest !== '') {
      holdBack.set(response, async () => {
        guesses.admit(address);
        await guesses.wrong(address, digest);
      });
    }
    noteHolder(response, {
      ...owner,
      key: digest,
      // Callers without a key are named by their address, which is all that tells them apart.
      caller: digest || digestOf(address),
      address: trustsProxy ? address : null,
    });
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

/** A digest of 32 characters that identifies a key, or an address, without revealing it. */
function digestOf(key: string): string {
  return hash('sha256', key, 'hex').slice(0, 32);
}

/** Compares digests, which are of equal length, in constant time. */
function keyTest(right: string): (key: string) => boolean {
  const salt = randomBytes(32).toString('hex');
  const digest = (key: string): Buffer => hash('sha256', salt + key, 'buffer');
  const expected = digest(right);
  return (key) => timingSafeEqual(digest(key), expected);
}

/** `sk-a****wxyz`: enough to recognise one's own key, too little to use it. */
function masked(key: string): string {
  return key.length < 12 ? '****' : `${key.slice(0, 4)}****${key.slice(-4)}`;
}

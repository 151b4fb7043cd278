/**
 * The identity of a request's caller: noted by the first middlewares (auth.ts), read by its handler. To add a field of
 * {@link Identity}, touch its definition and the place that finds its value; this file names only the request's id.
 */
import type { Response } from 'express';
import type { Identity } from '../../turns/caller.ts';

/** The caller of a request, as far as its key tells. */
export type KeyHolder = Omit<Identity, 'requestId'>;

/** For a request whose key was not checked: without a project it finds nothing. */
const UNKNOWN: KeyHolder = {
  project: '',
  caller: '',
  key: '',
  address: null,
  upstreamKey: null,
  isOperator: false,
};

/** By the response, which all handlers of one request share. */
const identities = new WeakMap<Response, Identity>();

/** Notes the request's id, before anything else is known of it. */
export function noteRequest(response: Response, requestId: string): void {
  identities.set(response, { ...UNKNOWN, requestId });
}

/** Notes whose key the request came with. */
export function noteHolder(response: Response, holder: KeyHolder): void {
  identities.set(response, { ...identityOf(response), ...holder });
}

/** Notes the span of the request, by its header `traceparent`. */
export function noteSpan(response: Response, traceparent: string): void {
  identities.set(response, { ...identityOf(response), traceparent });
}

export function identityOf(response: Response): Identity {
  return identities.get(response) ?? { ...UNKNOWN, requestId: '' };
}

/** A base class with the fields of the identity that it is constructed with. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- so that the fields are named where Identity is, and only there.
export const Identified = function (this: object, identity: Identity): void {
  Object.assign(this, identity);
} as unknown as new (identity: Identity) => Identity;

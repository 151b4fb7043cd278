/**
 * Who makes a request: noted by the first middlewares (auth.ts), read by whatever handles it. A field of {@link Identity}
 * is added where that is defined and where its value is found; nothing here names any but the request's id.
 */
import type { Response } from 'express';
import type { Identity } from '../../turns/caller.ts';

/** Who makes a request, as far as its key tells. */
export type KeyHolder = Omit<Identity, 'requestId'>;

/** Of a request whose key nobody has looked at: one without a project finds nothing. */
const UNKNOWN: KeyHolder = { project: '', caller: '', key: '', address: null, upstreamKey: null };

/** By its answer, which all handlers of one request share. */
const identities = new WeakMap<Response, Identity>();

/** Notes the request's id, before anything else is known of it. */
export function noteRequest(response: Response, requestId: string): void {
  identities.set(response, { ...UNKNOWN, requestId });
}

/** Notes whose key the request came with. */
export function noteHolder(response: Response, holder: KeyHolder): void {
  identities.set(response, { ...identityOf(response), ...holder });
}

export function identityOf(response: Response): Identity {
  return identities.get(response) ?? { ...UNKNOWN, requestId: '' };
}

/** What has the fields of the identity it is made with; to be extended. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- so that the fields are named where Identity is, and only there.
export const Identified = function (this: object, identity: Identity): void {
  Object.assign(this, identity);
} as unknown as new (identity: Identity) => Identity;

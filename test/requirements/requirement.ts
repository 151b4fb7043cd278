/** What a requirement is: one sentence that is true or false of the service, under an id that never changes its meaning. */

/**
 * How anybody knows that it is asked for. A `decision` is ours, where the hosted API was never seen, or where its clients are
 * served better by something else.
 */
export type Evidence =
  | 'recorded'
  | 'specification'
  | 'SDK source'
  | 'probe'
  | 'public issue'
  | 'guide'
  | 'decision';

export interface Requirement {
  readonly says: string;
  readonly evidence: Evidence;
  /** It is not met yet: why, and which requirement says that who asks for it is refused. Nothing cites it. */
  readonly later?: { readonly because: string; readonly refusedBy: string };
}

/** Requirements about one thing. */
export interface Group {
  /** The word in the middle of its ids. */
  readonly key: string;
  readonly about: string;
  readonly requirements: Readonly<Record<string, Requirement>>;
}

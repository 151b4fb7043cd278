/** What went wrong with a request to a model server, in few words: what operators count failures by. */

export type FailureKind =
  /** No connection, or one that was lost before the answer began. */
  | 'unreachable'
  /** A limit of ours for how long it may take. */
  | 'timeout'
  /** The answer ended before its end. */
  | 'broken_off'
  /** Something that is no answer, an empty one, or one that is too large. */
  | 'bad_answer'
  /** It refused the key. */
  | 'auth'
  | 'not_found'
  | 'rate_limit'
  /** The prompt is longer than the model's context. */
  | 'too_long'
  /** It does not take the request for another reason. */
  | 'refused'
  /** It says that it has failed, or that it cannot answer now. */
  | 'server_error'
  | 'other';

const OF_STATUS: Readonly<Record<number, FailureKind>> = {
  401: 'auth',
  403: 'auth',
  404: 'not_found',
  429: 'rate_limit',
};

/** What a refusal with this status is. @param isFault the model made its server fail, not the prompt */
export function kindOfRefusal(status: number, isTooLong: boolean, isFault: boolean): FailureKind {
  if (isTooLong) return 'too_long';
  if (isFault) return 'server_error';
  const named = OF_STATUS[status];
  if (named !== undefined) return named;
  return status >= 400 && status < 500 ? 'refused' : 'server_error';
}

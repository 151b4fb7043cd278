/** The caller of a request, as far as runs need to know it. The server makes one for each request. */
import type { Logger } from '../log.ts';
import type { NewId } from '../runs/ids.ts';

/** Who calls: the same for every request with that key from that place. */
export interface Identity {
  /** The project that everything the request makes or finds belongs to. */
  readonly project: string;
  readonly requestId: string;
  /** The span of the request, as the header of W3C Trace Context; missing where it is not traced. */
  readonly traceparent?: string;
  /** A name for callers that give none: a digest of their key, or else of their address. Other callers may share either. */
  readonly caller: string;
  /** A digest that tells keys apart without revealing them; empty without a key. Many callers may share one key. */
  readonly key: string;
  /**
   * The client's address, if a proxy that the operator trusts reports it; else null. It tells clients apart but proves
   * nothing.
   */
  readonly address: string | null;
  /** The caller's key, where it is a key of the upstream; else null. */
  readonly upstreamKey: string | null;
  /** Whether it may see the service and every project. */
  readonly isOperator: boolean;
}

/** One request of a caller, while it is worked on. */
export interface Caller extends Identity {
  readonly log: Logger;
  /** Aborted when the client has gone away. */
  readonly gone: AbortSignal;
  /**
   * Makes the ids of everything that the request creates. A request that may be sent again must get the same ids again;
   * the policy for repetitions (repeat.ts) sees to that.
   */
  newId: NewId;
  /** Where the request was sent. */
  readonly url: string;
  /** The body as text; empty where there is none. */
  readonly text: string;
  /** Everything that the client said besides the URL: two requests to one URL that say the same ask for the same. */
  readonly said: readonly string[];
  /** The client's own key for this request, with which it may repeat it; null without one. */
  readonly idempotencyKey: string | null;
  /** How often an SDK has sent the request before; null for clients that do not count. */
  readonly retries: number | null;
  /** Calls `listener` when the connection breaks before the whole answer has left; at once if it has broken already. */
  onUndelivered(listener: () => void): void;
  /**
   * From now on the request waits for others, for minutes perhaps: what it holds is counted with what waits, and not with what
   * is being read and answered. Said again it changes nothing.
   * @throws {ApiError} 503 where too much waits already.
   */
  waits(): void;
  /** Releases the request's body, which is not read again: the answer may take as long as a run lives. */
  release(): void;
}

/** Who asks for something, as far as runs need to know. A protocol's server makes one of each request. */
import type { Logger } from '../log.ts';
import type { NewId } from '../runs/ids.ts';

/** Who asks: the same for every request with that key from that place. */
export interface Identity {
  /** The project that everything the request makes or finds belongs to. */
  readonly project: string;
  readonly requestId: string;
  /** A name for callers that give none: a digest of their key or else of their address, which others may have as well. */
  readonly caller: string;
  /** Tells keys apart without telling them; empty without one. A key may be everybody's. */
  readonly key: string;
  /** Where the client is, as far as a proxy that the operator trusts says so; else null. Tells apart, and proves nothing. */
  readonly address: string | null;
  /** The caller's key, where it is the upstream's; null elsewhere. */
  readonly upstreamKey: string | null;
}

/** One request of somebody, while it is worked on. */
export interface Caller extends Identity {
  readonly log: Logger;
  /** Aborted when the client has gone away. */
  readonly gone: AbortSignal;
  /**
   * Names what the request makes. A request that may be sent again makes the same names again: the policy for repetitions
   * (repeat.ts) sees to that, so everything takes its ids from here.
   */
  newId: NewId;
  /** Where the request was sent. */
  readonly url: string;
  /** The body as text; empty where there is none. */
  readonly text: string;
  /** All that the client has said besides the URL: requests to one URL that say the same ask for the same. */
  readonly said: readonly string[];
  /** The client's own key for this request, by which it may repeat it; null without one. */
  readonly idempotencyKey: string | null;
  /** How often an SDK has sent the request before; null from clients that do not count. */
  readonly retries: number | null;
  /** Calls `listener` when the connection breaks before the answer has left whole; at once when it has already. */
  onUndelivered(listener: () => void): void;
  /**
   * From now on the request waits for others, for minutes perhaps: what it holds is counted with what waits, and not with what
   * is being read and answered. Said again it changes nothing.
   * @throws {ApiError} 503 where too much waits already.
   */
  waits(): void;
  /** Lets go of what was sent, which nobody reads again: the answer may take as long as a run lives. */
  release(): void;
}

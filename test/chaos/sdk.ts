/**
 * One client's line to the service: asks as the SDKs do, again after a lost connection, a 409 or a 5xx, at the next API
 * process, with the same `Idempotency-Key`. More patient than they are, because here it is known that the fault will end.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Wire, type EventStream, type Reply } from '../support/wire.ts';

/** What clients met while they asked. */
export class Traffic {
  /** Answers by status; 0 is a connection that broke. */
  readonly statuses = new Map<number, number>();
  /** Answers that no fault of ours excuses. */
  readonly improper: string[] = [];

  count(status: number): void {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
  }

  /** Counts an answer, and looks whether it is one that a server may give. @param what the request */
  hear(what: string, { status, headers, text }: Pick<Reply, 'status' | 'headers' | 'text'>): void {
    this.count(status);
    // A 500 says that we did not foresee what happened, and SDKs do not repeat ours.
    if (status === 500) this.improper.push(`${what} → 500 ${text}`);
    if (status === 503 && headers.get('retry-after') === null)
      this.improper.push(`${what} → 503 without retry-after`);
  }
}

const RETRY_MS = 500;
/** SDKs call these passing; 0 is a connection that broke. */
const PASSING = new Set([0, 408, 409, 429, 500, 502, 503]);

export const isPassing = (status: number): boolean => PASSING.has(status);

/** Waits as long as an answer asks for; without one, a moment. */
export async function untilAskedAgain(headers: Headers | undefined): Promise<void> {
  await delay(Number(headers?.get('retry-after-ms') ?? RETRY_MS));
}

export class Sdk {
  readonly #wires: readonly Wire[];
  readonly #traffic: Traffic;
  readonly #gone: AbortSignal;
  #next: number;

  /** @param first the API process it asks first. @param gone ends its patience. */
  constructor(origins: readonly string[], first: number, traffic: Traffic, gone: AbortSignal) {
    this.#wires = origins.map((origin) => new Wire(`${origin}/v1`));
    this.#next = first;
    this.#traffic = traffic;
    this.#gone = gone;
  }

  /** Asks until there is an answer that means something: 200, or a refusal. */
  async ask(method: string, path: string, body?: unknown): Promise<Reply> {
    const headers = { ...(method === 'POST' && { 'idempotency-key': randomUUID() }) };
    for (;;) {
      this.#gone.throwIfAborted();
      const reply = await this.#wire()
        .ask(method, path, { body, headers })
        .catch(() => null);
      if (reply === null) this.#traffic.count(0);
      else this.#traffic.hear(`${method} ${path}`, reply);
      if (reply !== null && !isPassing(reply.status)) return reply;
      await untilAskedAgain(reply?.headers);
    }
  }

  /** As {@link ask}, for what must be answered with 200. */
  async ok(method: string, path: string, body?: unknown): Promise<unknown> {
    const reply = await this.ask(method, path, body);
    if (reply.status === 200) return reply.body;
    throw new Error(`${method} ${path} → ${reply.status} ${reply.text}`);
  }

  /** Opens a stream, once: what to do when that fails depends on what it was to be. */
  async stream(method: string, path: string, body?: unknown): Promise<EventStream | null> {
    this.#gone.throwIfAborted();
    const headers = { ...(method === 'POST' && { 'idempotency-key': randomUUID() }) };
    try {
      const stream = await this.#wire().stream(method, path, { body, headers });
      this.#gone.addEventListener('abort', () => stream.close());
      return stream;
    } catch {
      this.#traffic.count(0);
      await untilAskedAgain(undefined);
      return null;
    }
  }

  #wire(): Wire {
    const wire = this.#wires[this.#next++ % this.#wires.length];
    if (wire === undefined) throw new Error('there is no API');
    return wire;
  }
}

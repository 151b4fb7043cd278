/**
 * A repeated POST gets the first one's answer instead of doing its work twice. Two kinds of repetition are known.
 *
 *   I1  The same `Idempotency-Key`: the same request, which it must be, byte for byte, at the same URL, with the same
 *       headers where these say whose it is. Whatever became of its first sending, a repetition makes objects of the same
 *       names, or gets the answer that was kept.
 *   I2  An SDK's own retry, which it counts in `x-stainless-retry-count`, of a request whose answer did not get through a
 *       moment ago. Nothing in such a retry says whose it is, so the first answer is handed out once, and only where the
 *       request names a conversation. Any other request is done anew: a second thread that is empty harms nobody, one
 *       thread for two people does.
 *
 * Refusals are not remembered: they changed nothing.
 */
import { createHash } from 'node:crypto';
import { ApiError, keyReused, stillPending, unconfirmed } from '../../errors.ts';
import { namesFrom, type NewId } from '../../runs/ids.ts';
import type { FirstAnswer, KeyedRequest } from '../../store/idempotency-records.ts';
import type { RunRef } from '../../store/keys.ts';
import type { Answer, Call, Endpoint } from './endpoint.ts';
import type { Services } from '../../turns/means.ts';
import { shellSafe } from './shell-safe.ts';
import { admitWrite } from '../../turns/trial-writes.ts';

/** What is kept of an answer, and for how long. */
interface Keeping {
  readonly keptMs: number;
  readonly maxBytes: number;
}

/**
 * A retry comes within seconds. Longer, and somebody may really mean to say the same again. Answers repeat what was sent,
 * data URLs of photos for instance; beyond the limit they are not worth the memory.
 */
export const RETRY: Keeping = { keptMs: 60_000, maxBytes: 4 * 1024 * 1024 };
/** SDKs wait up to 8 s before a retry. Longer, and an answer that arrived could be given to the same words said anew. */
const SENT: Keeping = { keptMs: 10_000, maxBytes: 64 * 1024 };
/**
 * Who sends a key was promised the same answer for a day. Answers without a picture in them are far below the limit; of
 * bigger ones only the names are kept that they gave ({@link namesFrom}), and a repetition makes the same objects again.
 */
const KEY: Keeping = { keptMs: 24 * 60 * 60 * 1000, maxBytes: 1024 * 1024 };
const MAX_KEY_LENGTH = 255;

/** The work was done, but is not safe yet: the client is refused, and a repetition of its request gets the answer. */
export class Unconfirmed extends ApiError {
  readonly answer: Answer;

  constructor(runId: string, answer: Answer) {
    const { status, message, ...details } = unconfirmed(runId);
    super(status, message, details);
    this.answer = answer;
  }
}

type Keepers = Pick<Services, 'answers' | 'trial'>;

/** Opens the stream of a run again, from where the first answer's stream began. */
export type OpenStream = (ref: RunRef, after: number, withThread: boolean, call: Call) => Promise<Answer>;

/** The endpoint, answering repetitions with the first answer. Only POSTs change anything twice. */
export function once(endpoint: Endpoint, services: Keepers, openStream: OpenStream): Endpoint {
  const { answers, trial } = services;
  if (endpoint.method !== 'POST') return endpoint;
  return {
    ...endpoint,
    handle: async (call) => {
      const key = idempotencyKey(call);
      if (key !== null) return underKey(services, call, key, { again: (first) => again(first, call), work });
      const retries = retriesOf(call);
      // Clients that never retry by themselves need nothing kept.
      if (retries === null || !namesThread(call)) return endpoint.handle(call);
      const digest = retryDigest(call);
      const first = retries > 0 ? await answers.take(call.project, digest) : null;
      const answer = await (first === null ? handle(call, digest) : again(first, call));
      const kept = first ?? toKeep(answer, RETRY.maxBytes);
      // What has left this machine may be lost on its way all the same, and the retry of that comes at once.
      if (retries === 0) keepForRetry(call, digest, toKeep(answer, SENT.maxBytes), SENT.keptMs);
      call.onUndelivered(() => keepForRetry(call, digest, kept, RETRY.keptMs));
      return answer;

      async function work(claim: Claim): Promise<Answer> {
        const settle = (made: Answer): void => claim.settle(toKeep(made, KEY.maxBytes), KEY.keptMs);
        try {
          const made = await endpoint.handle(call);
          settle(made);
          return made;
        } catch (error) {
          if (error instanceof Unconfirmed) settle(error.answer);
          throw error;
        }
      }
    },
  };

  /** Keeps also an answer that is not to be given yet. */
  async function handle(call: Call, digest: string): Promise<Answer> {
    try {
      return await endpoint.handle(call);
    } catch (error) {
      if (error instanceof Unconfirmed)
        keepForRetry(call, digest, toKeep(error.answer, RETRY.maxBytes), RETRY.keptMs);
      throw error;
    }
  }

  function keepForRetry(call: Call, digest: string, first: FirstAnswer | null, keptMs: number): void {
    // Of those who may have made their key up nothing is kept that they did not ask for.
    if (first === null || (call.upstreamKey !== null && !trial.knows(call.project))) return;
    unawaited(call, answers.keep(call.project, digest, first, keptMs));
  }

  async function again(first: FirstAnswer, call: Call): Promise<Answer> {
    if (first.type === 'stream') return openStream(first.ref, first.after, first.withThread, call);
    return { type: 'text', text: first.text, headers: first.headers };
  }
}

/** A key that was taken for the request at hand. */
export interface Claim {
  /** Keeps what repetitions get from now on; where that is null, they do the work under the same names again. */
  readonly settle: (first: FirstAnswer | null, keptMs: number) => void;
}

/**
 * I1. Answers with what the first sending left, by `again`, or does the work, whose ids are then the key's.
 * @param more `madeUp`: what was made up that the client has left out, and that decides whose the request is, else empty;
 *   `keptBytes`: how large what is kept for repetitions may be, as large as the request where this is not said
 * @throws {ApiError} 422 for a key that came with another request; 409 while another sending is being worked on.
 */
export async function underKey<T>(
  services: Keepers,
  call: Call,
  key: string,
  { again, work }: { again: (first: FirstAnswer) => Promise<T>; work: (claim: Claim) => Promise<T> },
  { madeUp = '', keptBytes }: { madeUp?: string; keptBytes?: number } = {},
): Promise<T> {
  const request: KeyedRequest = {
    project: call.project,
    name: digestOf('key', call.url, key),
    key: digestOf('url of', key),
    url: digestOf(call.url),
    // Where nothing but the body is said, this is how records of older processes name it.
    body: digestOf(...call.said, ...(madeUp === '' ? [] : [madeUp])),
  };
  const { answers } = services;
  const makes = `answer:${request.name}`;
  await admitWrite(services, call, keptBytes === undefined ? { makes } : { makes, textBytes: keptBytes });
  const claimed = await answers.claim(request);
  switch (claimed.type) {
    case 'other request':
      throw keyReused();
    case 'pending':
      throw stillPending();
    case 'answered':
      return again(claimed.first);
    case 'claimed':
  }
  const { nonce } = claimed;
  call.newId = namesOf(nonce);
  const settle: Claim['settle'] = (first, keptMs) =>
    unawaited(
      call,
      first === null ? answers.leave(request, nonce, keptMs) : answers.settle(request, first, keptMs),
    );
  try {
    return await work({ settle });
  } catch (error) {
    if (changedNothing(error)) await answers.release(request);
    // It may have taken effect, but a repetition makes the same objects. Unheard, the claim runs out by itself.
    else if (!(error instanceof Unconfirmed)) await answers.leave(request, nonce).catch(() => {});
    throw error;
  }
}

/** The ids that a request makes each time it is sent. */
export function namesOf(nonce: string): NewId {
  return namesFrom(nonce, (text) => createHash('sha256').update(text).digest());
}

/** The answer is right either way, and a repetition comes later than this is written. */
export function unawaited(call: Call, writing: Promise<void>): void {
  writing.catch((err: unknown) => call.log.warn({ err }, 'could not keep an answer for repetitions'));
}

function toKeep(answer: Answer, maxBytes: number): FirstAnswer | null {
  switch (answer.type) {
    case 'events': {
      if (answer.resume === undefined) return null;
      return { type: 'stream', ...answer.resume };
    }
    case 'json':
    case 'shell-safe':
    case 'text': {
      const text = textOf(answer);
      const headers = answer.headers ?? {};
      return Buffer.byteLength(text) > maxBytes ? null : { type: 'json', text, headers };
    }
  }
}

function textOf(answer: Exclude<Answer, { type: 'events' }>): string {
  if (answer.type === 'text') return answer.text;
  const text = JSON.stringify(answer.value);
  return answer.type === 'shell-safe' ? shellSafe(text) : text;
}

/** The client's key for this request, or null. @throws {ApiError} 400 for one that is too long. */
export function idempotencyKey(call: Call): string | null {
  const key = call.header('idempotency-key') ?? null;
  if (key === null || key.length <= MAX_KEY_LENGTH) return key;
  const text = `The Idempotency-Key is longer than ${MAX_KEY_LENGTH} characters.`;
  throw new ApiError(400, text, { code: 'invalid_value' });
}

/** How often an SDK has sent the request before; null from clients that do not count. */
export function retriesOf(call: Call): number | null {
  const count = call.header('x-stainless-retry-count');
  return count === undefined ? null : Number(count);
}

/** I2. Ids of threads cannot be guessed: who knows one is in its conversation. */
function namesThread(call: Call): boolean {
  return /[/=]thread_\w/.test(call.url);
}

/** What an SDK's retry of this request has in common with it. The project, too: it is part of the key in Redis. */
export function retryDigest(call: Call): string {
  // A key says itself that a request is the same, wherever it comes from; here only the sender speaks for that.
  return digestOf('body', call.url, call.caller, call.address ?? '', ...call.said);
}

/** Only a refusal is sure to have changed nothing; the 503 among them is that of a server that has too much to do. */
function changedNothing(error: unknown): boolean {
  if (error instanceof Unconfirmed) return false;
  return error instanceof ApiError && (error.status < 500 || error.status === 503);
}

function digestOf(...lines: readonly string[]): string {
  return createHash('sha256').update(lines.join('\n')).digest('base64url');
}

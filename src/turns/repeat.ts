/**
 * A request that is sent again gets the first one's answer, so that its work is not done twice. The same policy holds
 * for all protocols. It knows two kinds of repetition.
 *
 *   I1  The same `Idempotency-Key`. The request must be the same byte for byte, at the same URL, with the same headers
 *       where these say whose it is. Whatever became of the first sending, a repetition makes objects with the same
 *       names, or gets the answer that was kept.
 *   I2  An SDK's own retry, with a count in its header, of a request whose answer was lost a moment ago. Nothing in
 *       such a retry says whose it is. So the first answer is handed out once, and only where the request itself says
 *       whose conversation it belongs to. Any other request is done again: a second, empty thread does no harm; one
 *       thread for two people does.
 *
 * Refusals are not remembered: they changed nothing.
 */
import { createHash } from 'node:crypto';
import { ApiError, keyReused, stillPending, unconfirmed } from '../errors.ts';
import { namesFrom, type NewId } from '../runs/ids.ts';
import { SAY_EVERY_MS, type FirstAnswer, type KeyedRequest } from '../store/idempotency-records.ts';
import type { Caller } from './caller.ts';
import type { Means } from './means.ts';
import { admitWrite } from './trial-writes.ts';

/** How large an answer may be to be kept, and for how long it is kept. */
export interface Keeping {
  readonly keptMs: number;
  readonly maxBytes: number;
}

/**
 * A retry comes within seconds; after a longer time the client may really mean to say the same again. Answers repeat
 * what was sent, data URLs of photos for instance; beyond this size they are not worth the memory.
 */
const RETRY: Keeping = { keptMs: 60_000, maxBytes: 4 * 1024 * 1024 };
/**
 * SDKs wait up to 8 s before a retry. Kept for longer, an answer that arrived could be given to a new request in the
 * same words.
 */
const SENT: Keeping = { keptMs: 10_000, maxBytes: 64 * 1024 };

/** The work was done but is not safe yet. The client is refused, and a repetition of its request gets what was made. */
export class Unconfirmed<T> extends ApiError {
  readonly made: T;

  constructor(runId: string, made: T) {
    const { status, message, ...details } = unconfirmed(runId);
    super(status, message, details);
    this.made = made;
  }
}

/** A request that may be sent again: what it does, and what its repetitions get. */
export interface Repeatable<T> {
  /** Does the work, with ids from the caller's `newId`. */
  readonly work: () => Promise<T>;
  /** What to keep of the result; null where that has more than `maxBytes`, or cannot be kept. */
  readonly toKeep: (made: T, maxBytes: number) => FirstAnswer | null;
  /** The result of the first sending; null where it is no longer of use and the work has to be done again. */
  readonly again: (first: FirstAnswer) => Promise<T | null>;
  /** I1: how long a key stands for its request. */
  readonly underKey: Keeping;
  /** I2: whether the request says whose conversation it belongs to. */
  readonly isKnown: boolean;
  /** I2: whether an answer that has left this machine is kept as well, because it may still be lost on its way. */
  readonly keepsSent: boolean;
  /** A value made up in place of one that the client left out and that decides whose the request is; else empty. */
  readonly madeUp?: string;
  /** The size of what is kept for the key; by default, the size of the request. */
  readonly keptBytes?: number;
}

type Keepers = Pick<Means, 'answers' | 'trial'>;

/**
 * Does the work of a request, or returns the result of its first sending.
 * @throws {ApiError} 422 for a key that came with another request before; 409 while another sending is being worked on.
 */
export async function once<T>(means: Keepers, caller: Caller, request: Repeatable<T>): Promise<T> {
  const key = caller.idempotencyKey;
  return key === null ? retried(means, caller, request) : underKey(means, caller, key, request);
}

/** I1. Returns what the first sending left, or does the work with ids that the key determines. */
async function underKey<T>(means: Keepers, caller: Caller, key: string, request: Repeatable<T>): Promise<T> {
  const { madeUp = '', keptBytes } = request;
  const record: KeyedRequest = {
    project: caller.project,
    name: digestOf('key', caller.url, key),
    key: digestOf('url of', key),
    url: digestOf(caller.url),
    // With nothing but a body, the digest equals the one in the records of older processes.
    body: digestOf(...caller.said, ...(madeUp === '' ? [] : [madeUp])),
  };
  const { answers } = means;
  const makes = `answer:${record.name}`;
  await admitWrite(means, caller, keptBytes === undefined ? { makes } : { makes, textBytes: keptBytes });
  const claimed = await answers.claim(record);
  switch (claimed.type) {
    case 'other request':
      throw keyReused();
    case 'pending':
      throw stillPending();
    case 'answered':
      return (await request.again(claimed.first)) ?? anew(caller, claimed.first, request);
    case 'claimed':
  }
  const { nonce } = claimed;
  caller.newId = namesOf(nonce);
  /**
   * Keeps what repetitions get from now on. Where there is nothing to keep, they do the work again under the same names.
   */
  const settle = (made: T): void => {
    const { keptMs, maxBytes } = request.underKey;
    const first = request.toKeep(made, maxBytes);
    const writing =
      first === null ? answers.leave(record, nonce, keptMs) : answers.settle(record, first, keptMs);
    unawaited(caller, writing);
  };
  /** Until it is done nobody else may begin it: a claim that runs out would give the next sending other names. */
  const work = async (): Promise<T> => {
    const goesOn = (): void => unawaited(caller, answers.goesOn(record, nonce));
    const saying = setInterval(goesOn, SAY_EVERY_MS);
    try {
      return await request.work();
    } finally {
      clearInterval(saying);
    }
  };
  try {
    const made = await work();
    settle(made);
    return made;
  } catch (error) {
    if (isUnconfirmed<T>(error)) settle(error.made);
    else if (changedNothing(error)) await answers.release(record);
    // It may have taken effect, but a repetition makes the same objects. If Redis does not hear this, the claim runs
    // out by itself.
    else await answers.leave(record, nonce).catch(() => {});
    throw error;
  }
}

/** Does the work again, under names derived from the first sending's, so that further repetitions find the same objects. */
async function anew<T>(caller: Caller, first: FirstAnswer, { work }: Repeatable<T>): Promise<T> {
  if (first.type === 'stream') caller.newId = namesOf(first.ref.runId);
  return work();
}

/** I2. */
async function retried<T>(means: Keepers, caller: Caller, request: Repeatable<T>): Promise<T> {
  const { retries } = caller;
  // For clients that never repeat by themselves, nothing need be kept.
  if (retries === null || !request.isKnown) return request.work();
  const { answers, trial } = means;
  const digest = retryDigest(caller);
  const first = retries > 0 ? await answers.take(caller.project, digest) : null;
  const repeated = first === null ? null : await request.again(first);
  const keep = (kept: FirstAnswer | null, { keptMs }: Keeping): void => {
    // A caller may have made its key up; until a model has answered the key, nothing is kept that the caller did not
    // ask for.
    if (kept === null || (caller.upstreamKey !== null && !trial.knows(caller.project))) return;
    unawaited(caller, answers.keep(caller.project, digest, kept, keptMs));
  };
  const made =
    repeated ??
    (await request.work().catch((error: unknown) => {
      // Kept although the client is refused for now.
      if (isUnconfirmed<T>(error)) keep(request.toKeep(error.made, RETRY.maxBytes), RETRY);
      throw error;
    }));
  // What has left this machine may still be lost on its way, and then the retry comes at once.
  if (retries === 0 && request.keepsSent) keep(request.toKeep(made, SENT.maxBytes), SENT);
  caller.onUndelivered(() => keep(repeated === null ? request.toKeep(made, RETRY.maxBytes) : first, RETRY));
  return made;
}

/** The ids that a request gets each time it is sent. */
export function namesOf(nonce: string): NewId {
  return namesFrom(nonce, (text) => createHash('sha256').update(text).digest());
}

/** Not awaited: the answer is right either way, and a repetition comes later than this write. */
function unawaited(caller: Caller, writing: Promise<void>): void {
  writing.catch((err: unknown) => caller.log.warn({ err }, 'could not keep an answer for repetitions'));
}

/**
 * A digest of what an SDK's retry has in common with this request. The project counts as well: it is part of the key in
 * Redis.
 */
function retryDigest(caller: Caller): string {
  // An `Idempotency-Key` says by itself that a request is the same, wherever it comes from. Here only the sender tells.
  return digestOf('body', caller.url, caller.caller, caller.address ?? '', ...caller.said);
}

/** `T` is the type of the request at hand: only its own work throws this. */
function isUnconfirmed<T>(error: unknown): error is Unconfirmed<T> {
  return error instanceof Unconfirmed;
}

/** Only a refusal is sure to have changed nothing. A 503 counts as one: it is what an overloaded server answers. */
function changedNothing(error: unknown): boolean {
  return error instanceof ApiError && (error.status < 500 || error.status === 503);
}

function digestOf(...lines: readonly string[]): string {
  return createHash('sha256').update(lines.join('\n')).digest('base64url');
}

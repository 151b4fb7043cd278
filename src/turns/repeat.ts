/**
 * A request that is sent again gets the first one's answer instead of having its work done twice, whatever protocol it
 * comes in. Two kinds of repetition are known.
 *
 *   I1  The same `Idempotency-Key`: the same request, which it must be, byte for byte, at the same URL, with the same
 *       headers where these say whose it is. Whatever became of its first sending, a repetition makes objects of the same
 *       names, or gets the answer that was kept.
 *   I2  An SDK's own retry, which it counts, of a request whose answer did not get through a moment ago. Nothing in such a
 *       retry says whose it is, so the first answer is handed out once, and only where the request itself says whose
 *       conversation it belongs to. Any other request is done anew: a second thread that is empty harms nobody, one thread
 *       for two people does.
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

/** What is kept of an answer, and for how long. */
export interface Keeping {
  readonly keptMs: number;
  readonly maxBytes: number;
}

/**
 * A retry comes within seconds. Longer, and somebody may really mean to say the same again. Answers repeat what was sent,
 * data URLs of photos for instance; beyond the limit they are not worth the memory.
 */
const RETRY: Keeping = { keptMs: 60_000, maxBytes: 4 * 1024 * 1024 };
/** SDKs wait up to 8 s before a retry. Longer, and an answer that arrived could be given to the same words said anew. */
const SENT: Keeping = { keptMs: 10_000, maxBytes: 64 * 1024 };

/** The work was done, but is not safe yet: the client is refused, and a repetition of its request gets what was made. */
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
  /** Does the work. What it makes has names of the caller's `newId`. */
  readonly work: () => Promise<T>;
  /** What is kept of what was made; null where that has more than `maxBytes`, or is nothing that could be kept. */
  readonly toKeep: (made: T, maxBytes: number) => FirstAnswer | null;
  /** What the first sending made; null where that is of no use any more, and the work is to be done anew. */
  readonly again: (first: FirstAnswer) => Promise<T | null>;
  /** I1: how long a key stands for its request. */
  readonly underKey: Keeping;
  /** I2: whether the request says whose conversation it belongs to. */
  readonly isKnown: boolean;
  /** I2: whether also an answer that has left this machine is kept, for it may be lost on its way all the same. */
  readonly keepsSent: boolean;
  /** What was made up that the client has left out, and that decides whose the request is; else empty. */
  readonly madeUp?: string;
  /** How large what is kept for the key may be; as large as the request where this is not said. */
  readonly keptBytes?: number;
}

type Keepers = Pick<Means, 'answers' | 'trial'>;

/**
 * Does the work of a request, or hands out what its first sending made.
 * @throws {ApiError} 422 for a key that came with another request; 409 while another sending is being worked on.
 */
export async function once<T>(means: Keepers, caller: Caller, request: Repeatable<T>): Promise<T> {
  const key = caller.idempotencyKey;
  return key === null ? retried(means, caller, request) : underKey(means, caller, key, request);
}

/** I1. Answers with what the first sending left, or does the work, whose ids are then the key's. */
async function underKey<T>(means: Keepers, caller: Caller, key: string, request: Repeatable<T>): Promise<T> {
  const { madeUp = '', keptBytes } = request;
  const record: KeyedRequest = {
    project: caller.project,
    name: digestOf('key', caller.url, key),
    key: digestOf('url of', key),
    url: digestOf(caller.url),
    // Where nothing but the body is said, this is how records of older processes name it.
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
  /** Keeps what repetitions get from now on; where that is nothing, they do the work under the same names again. */
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
    // It may have taken effect, but a repetition makes the same objects. Unheard, the claim runs out by itself.
    else await answers.leave(record, nonce).catch(() => {});
    throw error;
  }
}

/** Does the work again, under names that come from the first sending's: further repetitions come upon the same. */
async function anew<T>(caller: Caller, first: FirstAnswer, { work }: Repeatable<T>): Promise<T> {
  if (first.type === 'stream') caller.newId = namesOf(first.ref.runId);
  return work();
}

/** I2. */
async function retried<T>(means: Keepers, caller: Caller, request: Repeatable<T>): Promise<T> {
  const { retries } = caller;
  // Clients that never repeat by themselves need nothing kept.
  if (retries === null || !request.isKnown) return request.work();
  const { answers, trial } = means;
  const digest = retryDigest(caller);
  const first = retries > 0 ? await answers.take(caller.project, digest) : null;
  const repeated = first === null ? null : await request.again(first);
  const keep = (kept: FirstAnswer | null, { keptMs }: Keeping): void => {
    // Of those who may have made their key up nothing is kept that they did not ask for.
    if (kept === null || (caller.upstreamKey !== null && !trial.knows(caller.project))) return;
    unawaited(caller, answers.keep(caller.project, digest, kept, keptMs));
  };
  const made =
    repeated ??
    (await request.work().catch((error: unknown) => {
      // Kept also where it is not to be given yet.
      if (isUnconfirmed<T>(error)) keep(request.toKeep(error.made, RETRY.maxBytes), RETRY);
      throw error;
    }));
  // What has left this machine may be lost on its way all the same, and the retry of that comes at once.
  if (retries === 0 && request.keepsSent) keep(request.toKeep(made, SENT.maxBytes), SENT);
  caller.onUndelivered(() => keep(repeated === null ? request.toKeep(made, RETRY.maxBytes) : first, RETRY));
  return made;
}

/** The ids that a request makes each time it is sent. */
export function namesOf(nonce: string): NewId {
  return namesFrom(nonce, (text) => createHash('sha256').update(text).digest());
}

/** The answer is right either way, and a repetition comes later than this is written. */
function unawaited(caller: Caller, writing: Promise<void>): void {
  writing.catch((err: unknown) => caller.log.warn({ err }, 'could not keep an answer for repetitions'));
}

/** What an SDK's retry of this request has in common with it. The project, too: it is part of the key in Redis. */
function retryDigest(caller: Caller): string {
  // A key says itself that a request is the same, wherever it comes from; here only the sender speaks for that.
  return digestOf('body', caller.url, caller.caller, caller.address ?? '', ...caller.said);
}

/** The type is that of the request at hand: nobody else's work throws it. */
function isUnconfirmed<T>(error: unknown): error is Unconfirmed<T> {
  return error instanceof Unconfirmed;
}

/** Only a refusal is sure to have changed nothing; the 503 among them is that of a server that has too much to do. */
function changedNothing(error: unknown): boolean {
  return error instanceof ApiError && (error.status < 500 || error.status === 503);
}

function digestOf(...lines: readonly string[]): string {
  return createHash('sha256').update(lines.join('\n')).digest('base64url');
}

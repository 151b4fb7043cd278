/**
 * A repeated POST gets the first one's answer instead of doing its work twice. Two kinds of repetition are known: the
 * same `Idempotency-Key`, and an SDK's own retry (it counts them in `x-stainless-retry-count`) of an identical request
 * whose answer did not get through a moment ago. Refusals are not remembered: they changed nothing.
 */
import { createHash } from 'node:crypto';
import { ApiError, unconfirmed } from '../errors.ts';
import { namesFrom } from '../runs/ids.ts';
import type { Answers, FirstAnswer } from '../store/answers.ts';
import type { RunRef } from '../store/keys.ts';
import type { Answer, Call, Endpoint } from './endpoint.ts';
import { shellSafe } from './shell-safe.ts';

/** What is kept of an answer, and for how long. */
interface Keeping {
  readonly keptMs: number;
  readonly maxCharacters: number;
}

/**
 * A retry comes within seconds. Longer, and somebody may really mean to say the same again. Answers repeat what was sent,
 * data URLs of photos for instance; beyond the limit they are not worth the memory.
 */
export const RETRY: Keeping = { keptMs: 60_000, maxCharacters: 4 * 1024 * 1024 };
/** Who sends a key was promised the same answer. */
const KEY: Keeping = { keptMs: 24 * 60 * 60 * 1000, maxCharacters: Infinity };
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

/** Opens the stream of a run again, from where the first answer's stream began. */
export type OpenStream = (ref: RunRef, after: number, withThread: boolean, call: Call) => Promise<Answer>;

/** The endpoint, answering repetitions with the first answer. Only POSTs change anything twice. */
export function once(endpoint: Endpoint, answers: Answers, openStream: OpenStream): Endpoint {
  if (endpoint.method !== 'POST') return endpoint;
  return {
    ...endpoint,
    handle: async (call) => {
      const key = idempotencyKey(call);
      if (key !== null) return withKey(key, call);
      const retries = call.header('x-stainless-retry-count');
      // Clients that never retry by themselves need nothing kept.
      if (retries === undefined) return endpoint.handle(call);
      const digest = digestOf(call, 'body', call.text);
      const first = Number(retries) > 0 ? await answers.find(call.project, digest) : null;
      if (first !== null && first !== 'pending') return again(first, call);
      const answer = await handle(call, digest, RETRY);
      // An answer that arrived is not asked for again: whoever sends the same body then means it anew.
      call.onUndelivered(() => keep(call, digest, answer, RETRY));
      return answer;
    },
  };

  /** Keeps also an answer that is not to be given yet. */
  async function handle(call: Call, digest: string, keeping: Keeping): Promise<Answer> {
    try {
      return await endpoint.handle(call);
    } catch (error) {
      if (error instanceof Unconfirmed) keep(call, digest, error.answer, keeping);
      throw error;
    }
  }

  async function withKey(key: string, call: Call): Promise<Answer> {
    const digest = digestOf(call, 'key', key);
    const nonce = await answers.claim(call.project, digest);
    if (nonce !== null) {
      call.newId = namesFrom(nonce, (text) => createHash('sha256').update(text).digest());
      try {
        const answer = await handle(call, digest, KEY);
        keep(call, digest, answer, KEY);
        return answer;
      } catch (error) {
        if (changedNothing(error)) await answers.release(call.project, digest);
        // It may have taken effect, but a repetition makes the same objects. Unheard, the claim runs out by itself.
        else if (!(error instanceof Unconfirmed))
          await answers.leave(call.project, digest, nonce).catch(() => {});
        throw error;
      }
    }
    const first = await answers.find(call.project, digest);
    if (first !== null && first !== 'pending') return again(first, call);
    throw stillPending();
  }

  function keep(call: Call, digest: string, answer: Answer, { keptMs, maxCharacters }: Keeping): void {
    const first = toKeep(answer, maxCharacters);
    if (first === null) return;
    // Not waited for: the answer is right either way, and a repetition comes later than this is written.
    answers.keep(call.project, digest, first, keptMs).catch((err: unknown) => {
      call.log.warn({ err }, 'could not keep an answer for repetitions');
    });
  }

  async function again(first: FirstAnswer, call: Call): Promise<Answer> {
    if (first.type === 'stream') return openStream(first.ref, first.after, first.withThread, call);
    return { type: 'text', text: first.text, headers: first.headers };
  }
}

function toKeep(answer: Answer, maxCharacters: number): FirstAnswer | null {
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
      return text.length > maxCharacters ? null : { type: 'json', text, headers };
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

/** The one 409 of this server: coming back in a moment is exactly what the SDKs do with it, and what helps. */
export function stillPending(): ApiError {
  const text = 'A request with this Idempotency-Key is still being worked on. Try again in a moment.';
  return new ApiError(409, text, { code: 'idempotency_pending', headers: { 'retry-after-ms': '250' } });
}

/** Only a refusal is sure to have changed nothing; the 503 among them is that of a server that has too much to do. */
export function changedNothing(error: unknown): boolean {
  if (error instanceof Unconfirmed) return false;
  return error instanceof ApiError && (error.status < 500 || error.status === 503);
}

/** The same address (with its query) and key or body; the project is part of the key in Redis. */
export function digestOf(call: Call, kind: 'key' | 'body', value: string): string {
  return createHash('sha256').update(`${kind}\n${call.url}\n${value}`).digest('base64url');
}

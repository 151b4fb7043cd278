/** A repeated POST of a resource gets the answer of the first; turns/repeat.ts has the policy. */
import type { FirstAnswer } from '../../store/idempotency-records.ts';
import type { RunRef } from '../../store/keys.ts';
import type { Means } from '../../turns/means.ts';
import { once, type Keeping } from '../../turns/repeat.ts';
import type { Call } from './call.ts';
import type { Answer, Endpoint } from './endpoint.ts';
import { shellSafe } from './shell-safe.ts';

/**
 * Clients that send a key are promised the same answer for a day. Answers without pictures are far below the limit. Of
 * bigger ones only the ids are kept, and a repetition makes the same objects again.
 */
const KEY: Keeping = { keptMs: 24 * 60 * 60 * 1000, maxBytes: 1024 * 1024 };

/** Opens the stream of a run again, from where the first answer's stream began. */
export type OpenStream = (ref: RunRef, after: number, withThread: boolean, call: Call) => Promise<Answer>;

/** The endpoint, with repetitions answered by the first answer. Only a repeated POST would change something twice. */
export function repeatable(
  endpoint: Endpoint,
  means: Pick<Means, 'answers' | 'trial'>,
  openStream: OpenStream,
): Endpoint {
  if (endpoint.method !== 'POST' || endpoint.repeatsItself === true) return endpoint;
  return {
    ...endpoint,
    handle: async (call) =>
      once<Answer>(means, call, {
        work: async () => endpoint.handle(call),
        toKeep,
        again: async (first) => {
          if (first.type === 'stream') return openStream(first.ref, first.after, first.withThread, call);
          return { type: 'text', text: first.text, headers: first.headers };
        },
        underKey: KEY,
        isKnown: namesThread(call),
        keepsSent: true,
      }),
  };
}

function toKeep(answer: Answer, maxBytes: number): FirstAnswer | null {
  switch (answer.type) {
    case 'bytes':
    case 'socket':
      return null;
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

function textOf(answer: Exclude<Answer, { type: 'bytes' | 'events' | 'socket' }>): string {
  if (answer.type === 'text') return answer.text;
  const text = JSON.stringify(answer.value);
  return answer.type === 'shell-safe' ? shellSafe(text) : text;
}

/**
 * Ids of threads cannot be guessed: a client that knows one belongs to its conversation. Elsewhere in a path the same letters
 * are only a name.
 */
function namesThread(call: Call): boolean {
  return /^thread_\w/.test(call.part('thread_id'));
}

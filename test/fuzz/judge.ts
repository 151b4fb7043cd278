/** What every answer must be, whatever was asked: JSON in the envelope or a well-formed stream, nothing from inside, no fault of ours. */
import { z } from 'zod';
import type { Attack } from './attack.ts';
import type { Answer, Exchange } from './connection.ts';

/** Something that must not be. */
export interface Finding {
  readonly rule: string;
  readonly detail: string;
}

const refusal = {
  message: z.string().min(1),
  type: z.string().min(1),
  param: z.string().nullable(),
  code: z.string().nullable(),
};
const envelope = z.strictObject({ error: z.strictObject(refusal) });
const foundryEnvelope = z.strictObject({
  error: z.strictObject({ ...refusal, target: z.string().nullable() }),
});
const agentEnvelope = z.strictObject({ error_code: z.string(), error_msg: z.string() });

const FOUNDRY_PATH = /^\/api\/projects\//i;
const AGENT_PATH = /\/routes\/open\/[^/]+\/execute/i;
/** Stacks, and names of what we are made of. */
const INSIDE =
  /\n\s+at |node_modules|\.ts:\d|file:\/\/\/|ioredis|ReplyError|ZodError|RangeError|TypeError|upstream-key|redis:\/\//;
const JSON_TYPE = 'application/json; charset=utf-8';
const STREAM_TYPE = 'text/event-stream; charset=utf-8';
const FRAME = /^(?::[^\n]*\n)*(?:id: \d+\n)?(?:event: [\w.]+\n)?data: ([^\n]+)$/;
/** What our own fault says; nothing that is planted leads to it. */
const OUR_FAULT = 'The server had an error while processing your request';
/** What a chat is told whose conversation or run another request of ours took away. */
const TAKEN_AWAY = /The (?:conversation was deleted before its answer was complete|answer was cancelled)\./;
const SHOWN = 300;

/** Everything that is wrong with an exchange. */
export function judge(attack: Attack, { answers, left }: Exchange): readonly Finding[] {
  const found = answers.flatMap((answer, at) => judgeAnswer(attack, answer, at > 0));
  const wrong = (rule: string): void => void found.push({ rule, detail: `${answers.length} answers` });
  if (left === 'silent') wrong('every request is answered');
  const mayClose = attack.manner === 'cut' || attack.manner === 'hang up';
  if (left === 'closed by them' && !mayClose) wrong('a connection is closed after an answer only');
  return found;
}

/** @param following it answers the request that was sent along */
function judgeAnswer(attack: Attack, answer: Answer, following: boolean): readonly Finding[] {
  const { status, headers, body, whole } = answer;
  const found: Finding[] = [];
  const detail = `${status} ${body.slice(0, SHOWN)}`;
  const wrong = (rule: string): void => void found.push({ rule, detail });
  if (!(status >= 200 && status < 600)) wrong('an answer is HTTP');
  if (following && status !== 200) wrong('a good request behind a bad one is answered');
  if (status >= 500 && !isExpected(attack, answer)) wrong('no 5xx that was not planted');
  if (INSIDE.test(body)) wrong('an answer tells nothing of the inside');
  if (attack.method === 'HEAD' || status === 204) return found;
  const type = headers.get('content-type') ?? '';
  if (type === STREAM_TYPE) return [...found, ...judgeStream(body, whole, detail)];
  // The content of a file is whatever was sent.
  if (type === 'application/octet-stream' || type.startsWith('text/plain; version=0.0.4')) return found;
  const value = type === JSON_TYPE ? parsed(body) : undefined;
  if (value === undefined) wrong('an answer is JSON');
  else if (status >= 400 && !isRefusal(attack, value)) wrong('a refusal is in the envelope');
  return found;
}

/** In OpenAI's envelope, or on the paths of other platforms in theirs; `/ready` says in its own words that it is not. */
const isRefusal = ({ target }: Attack, value: unknown): boolean =>
  envelope.safeParse(value).success ||
  isReadiness(value) ||
  (FOUNDRY_PATH.test(target) && foundryEnvelope.safeParse(value).success) ||
  (AGENT_PATH.test(target) && agentEnvelope.safeParse(value).success);

/** The model was made to fail, and it cannot speak; another request took the conversation away; there is too much to do. */
function isExpected({ planted, target }: Attack, { status, headers, body }: Answer): boolean {
  if (body.includes(OUR_FAULT)) return false;
  if (TAKEN_AWAY.test(body) || body.includes('The answer could not be spoken.')) return true;
  if (status === 503) return headers.has('retry-after') || isReadiness(parsed(body));
  return planted && (status === 502 || (status === 500 && AGENT_PATH.test(target)));
}

const isReadiness = (value: unknown): boolean =>
  z.looseObject({ status: z.enum(['ready', 'not ready']) }).safeParse(value).success;
function judgeStream(body: string, whole: boolean, detail: string): readonly Finding[] {
  const blocks = body.split('\n\n');
  const rest = blocks.pop() ?? '';
  const data = blocks.map((block) => FRAME.exec(block)?.[1]);
  const isFrame = (text: string | undefined): boolean =>
    text === '[DONE]' || (text !== undefined && parsed(text) !== undefined);
  if (!data.every(isFrame)) return [{ rule: 'a stream is made of frames', detail: body.slice(0, SHOWN) }];
  if (!whole) return [];
  if (rest.replaceAll(': ping\n', '') !== '') return [{ rule: 'a stream ends with a frame', detail }];
  const last = data.at(-1) ?? '';
  const ends = last === '[DONE]' || /"type":"(?:end|error)"/.test(last);
  return ends ? [] : [{ rule: 'a stream says that it ends', detail: `… ${last.slice(0, SHOWN)}` }];
}

/** The value of JSON text; undefined for what is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

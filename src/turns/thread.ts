/**
 * The thread behind a conversation: found by the caller's name for it, and extended by the new part of what the caller
 * sent.
 */
import { createHash } from 'node:crypto';
import { notFound } from '../errors.ts';
import type { NewId } from '../runs/ids.ts';
import { isMedia, type ChatMessage } from '../runs/model.ts';
import { toMessage } from '../runs/parts.ts';
import type { ContentPart, Message } from '../runs/thread.ts';
import { isSafeId, type ThreadRef } from '../store/keys.ts';
import type { Caller } from './caller.ts';
import type { Means } from './means.ts';
import { admitWrite } from './trial-writes.ts';
import type { ChatTurn } from './turn.ts';

/** How many of a thread's last messages are compared with what the caller sent. */
const COMPARED_MESSAGES = 100;

/**
 * The thread that a caller names: by its id in the Assistants API, or by a key of the caller's own.
 * @throws {ApiError} 404 for an id that no thread has.
 */
export async function threadOf(means: Means, caller: Caller, name: string): Promise<ThreadRef> {
  const { objects, now } = means;
  const { project } = caller;
  if (name.startsWith('thread_')) {
    const ref = { project, threadId: name };
    if (!isSafeId(name) || !(await objects.threads.exists(ref))) throw notFound('thread', name);
    return ref;
  }
  const ref = { project, threadId: threadIdOf(name) };
  if (!(await objects.threads.exists(ref))) {
    const thread = {
      id: ref.threadId,
      object: 'thread',
      created_at: now(),
      metadata: {},
      tool_resources: {},
    } as const;
    await admitWrite(means, caller, { makes: ref.threadId });
    await objects.threads.create(project, thread, []);
  }
  return ref;
}

/**
 * The id of the thread with that name: `thread_…` is an id itself; any other name is the caller's own key and is hashed
 * to one.
 */
export function threadIdOf(name: string): string {
  if (name.startsWith('thread_')) return name;
  const digest = createHash('sha256').update(name).digest('base64url').replaceAll(/[-_]/g, '').slice(0, 24);
  return `thread_${digest}`;
}

/**
 * The messages that the thread does not have yet. Callers send the whole conversation, a part of it, or only what is new.
 */
export async function newMessages(
  { objects, now }: Means,
  { newId }: Pick<Caller, 'newId'>,
  ref: ThreadRef,
  turn: ChatTurn,
): Promise<readonly Message[]> {
  const query = { limit: COMPARED_MESSAGES, order: 'desc', after: null, before: null } as const;
  const page = await objects.messages.list(ref, null, query);
  const [known, isAll] = page.type === 'page' ? [page.items.toReversed(), !page.hasMore] : [[], true];
  const sent = turn.messages.flatMap((message) => toStored(message, ref.threadId, newId('msg'), now()));
  return sent.slice(knownLength(sent, known, isAll));
}

/**
 * What steers a run: the messages that the thread does not have yet, and in any case the last one, which somebody has said now.
 * @param newId names the last one first, so that it is known by that name whatever the thread has
 */
export async function steeringMessages(
  means: Means,
  newId: NewId,
  ref: ThreadRef,
  turn: ChatTurn,
): Promise<readonly Message[]> {
  const unnamed = { newId: () => '' };
  const fresh = await newMessages(means, unnamed, ref, turn);
  const sent = turn.messages.flatMap((message) => toStored(message, ref.threadId, '', means.now()));
  const said = fresh.length > 0 ? fresh : sent.slice(-1);
  return said
    .toReversed()
    .map((message) => ({ ...message, id: newId('msg') }))
    .toReversed();
}

/** How many messages at the beginning of `sent` are those that the thread ends with. */
function knownLength(sent: readonly Message[], known: readonly Message[], isAll: boolean): number {
  const numbered = numbering();
  const overlap = alignment(sent.map(numbered), known.map(numbered), isAll);
  if (overlap > 0 || !sent.some(isAnswer)) return overlap;
  // A client that was interrupted, or that spoke the answer in other words, sends other answers; then the user's
  // messages are compared alone.
  const questions = sent.filter((message) => !isAnswer(message));
  const asked = alignment(
    questions.map(numbered),
    known.filter((message) => !isAnswer(message)).map(numbered),
    // With so few messages, a longer beginning could end with all of them by chance.
    true,
  );
  const next = questions[asked];
  if (asked === 0) return 0;
  return next === undefined ? sent.length : sent.indexOf(next);
}

const isAnswer = ({ role }: Message): boolean => role === 'assistant';

/**
 * The length of the longest beginning of `sent` that `known` ends with. Of a long thread only the end is known here: a
 * beginning longer than that has to end with all of it.
 * @param isAll `known` is the whole thread
 */
function alignment(sent: readonly number[], known: readonly number[], isAll: boolean): number {
  if (known.length === 0) return 0;
  const longest = isAll ? Math.min(known.length, sent.length) : sent.length;
  for (let length = longest; length > 0; length--) {
    const compared = Math.min(length, known.length);
    const from = known.length - compared;
    let same = 0;
    while (same < compared && known[from + same] === sent[length - compared + same]) same++;
    if (same === compared) return length;
  }
  return 0;
}

/**
 * Numbers messages; those that say the same get the same number. Each is compared with up to a hundred others, and may
 * be megabytes long.
 */
function numbering(): (message: Message) => number {
  const numbers = new Map<string, number>();
  return (message) => {
    const text = fingerprint(message);
    const number = numbers.get(text) ?? numbers.size;
    numbers.set(text, number);
    return number;
  };
}

/** The address of a picture, or the file that holds it. */
const pictureIn = (part: Exclude<ContentPart, { type: 'text' }>): string =>
  part.type === 'image_url' ? part.image_url.url : part.image_file.file_id;

function fingerprint({ role, content }: Message): string {
  const parts = content.map((part) =>
    part.type === 'text' ? part.text.value.replaceAll(/\s+/g, ' ').trim() : pictureIn(part),
  );
  return `${role}:${parts.filter((part) => part !== '').join('|')}`;
}

/** A chat message as the thread keeps it; messages without words or pictures are left out. */
function toStored(message: ChatMessage, threadId: string, id: string, at: number): readonly Message[] {
  if (message.role !== 'user' && message.role !== 'assistant') return [];
  const parts =
    typeof message.content === 'string'
      ? [{ type: 'text' as const, text: message.content }]
      : (message.content ?? []);
  const content = parts.flatMap((part): Message['content'] => {
    if (part.type === 'image_url') return [part];
    // Such parts are refused where a request names a thread.
    if (isMedia(part)) return [];
    return part.text === '' ? [] : [{ type: 'text', text: { value: part.text, annotations: [] } }];
  });
  return content.length === 0 ? [] : [toMessage({ role: message.role, content }, threadId, id, at)];
}

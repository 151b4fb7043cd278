/** The texts of messages: which are blank, and how those of one turn are joined. Pure. */
import type { ChatPart } from '../runs/model.ts';
import { THOUGHT_FIELDS } from '../runs/thoughts.ts';
import type { UserMessage, WireMessage } from './fit-types.ts';

/** Between texts that were messages of their own. */
const BETWEEN = '\n\n';
/** In place of a picture for a model that sees none. */
const PICTURE: ChatPart = { type: 'text', text: '[picture]' };

interface Said {
  readonly content: string | null;
}

export function isBlank(text: string | null | undefined): boolean {
  if (text == null) return true;
  const first = text.charCodeAt(0);
  // Nearly all texts begin with a letter, and this is asked several times of every message.
  return !(first > SPACE && first < DELETE) && !/\S/.test(text);
}

const SPACE = 0x20;
const DELETE = 0x7f;

/** The message without halves of surrogate pairs, which no server can write as UTF-8. */
export function wellFormed(message: WireMessage): WireMessage {
  if (typeof message.content === 'string')
    return message.content.isWellFormed() ? message : { ...message, content: message.content.toWellFormed() };
  if (message.role !== 'user' || message.content.every(isWellFormed)) return message;
  const parts = message.content.map((part) =>
    part.type === 'text' ? { ...part, text: part.text.toWellFormed() } : part,
  );
  return { ...message, content: parts };
}

const isWellFormed = (part: ChatPart): boolean => part.type !== 'text' || part.text.isWellFormed();

/** The texts of messages of one role, blank ones left out. */
export function joinedText(messages: readonly Said[]): string {
  const [only] = messages;
  if (only !== undefined && messages.length === 1) return isBlank(only.content) ? '' : (only.content ?? '');
  const said = messages.filter(isSpoken);
  const speaker = speakersOf(said);
  return said.map((message) => speaker(message) + (message.content ?? '')).join(BETWEEN);
}

/** What a user says in one turn; null for nothing. */
export function joinedSpeech(messages: readonly UserMessage[]): UserMessage | null {
  const said = messages.map(withoutBlanks).filter((message) => message !== null);
  const [only] = said;
  if (only === undefined || said.length === 1) return only ?? null;
  const texts = said.flatMap((message) => plainText(message) ?? []);
  if (texts.length === said.length) return { role: 'user', content: texts.join(BETWEEN) };
  const speaker = speakersOf(said);
  const parts = said.flatMap((message) => spokenParts(speaker(message), message.content));
  return { ...otherFields(said), role: 'user', content: asTextIfPlain(parts, BETWEEN) };
}

/** What a message says that has nothing but a text, as nearly all have; null for any other. */
function plainText(message: UserMessage): string | null {
  const { content } = message;
  return typeof content === 'string' && Object.keys(message).length === 2 ? content : null;
}

function spokenParts(speaker: string, content: UserMessage['content']): readonly ChatPart[] {
  const [first, ...rest] = typeof content === 'string' ? [textPart(content)] : content;
  if (first === undefined || speaker === '') return first === undefined ? [] : [first, ...rest];
  if (first.type !== 'text') return [textPart(speaker.trimEnd()), first, ...rest];
  return [{ ...first, text: speaker + first.text }, ...rest];
}

const textPart = (text: string): ChatPart => ({ type: 'text', text });

/** Whether the message says something; a user's parts do. */
function isSpoken({ content }: { readonly content?: unknown }): boolean {
  return typeof content === 'string' ? !isBlank(content) : content != null;
}

/** Tells with which words each message begins once they are one: with its speaker's name, where there are several. */
function speakersOf(messages: readonly object[]): (message: object) => string {
  const isOne = messages.every((message) => nameOf(message) === nameOf(messages[0]));
  return (message) => {
    const name = isOne ? undefined : nameOf(message);
    return name === undefined ? '' : `${name}: `;
  };
}

/** The name of the messages that say something, where they have the same. */
function commonName(messages: readonly object[]): { readonly name?: string } {
  const said = messages.filter(isSpoken);
  const name = nameOf(said[0]);
  return name !== undefined && said.every((message) => nameOf(message) === name) ? { name } : {};
}

function nameOf(message: object | undefined): string | undefined {
  return message !== undefined && 'name' in message && typeof message.name === 'string'
    ? message.name
    : undefined;
}

const THOUGHTS: ReadonlySet<string> = new Set(THOUGHT_FIELDS);
const OWN_FIELDS: ReadonlySet<string> = new Set(['role', 'content', 'tool_calls', 'name']);

/** What the messages say beside role, content and calls, for the message that they become. */
export function otherFields(messages: readonly object[]): Readonly<Record<string, unknown>> {
  const values = new Map<string, unknown[]>();
  for (const message of messages) {
    for (const [field, value] of Object.entries(message)) {
      if (OWN_FIELDS.has(field)) continue;
      const before = values.get(field);
      if (before === undefined) values.set(field, [value]);
      else before.push(value);
    }
  }
  const fields = [...values].map(([field, all]): [string, unknown] => [field, oneOf(field, all)]);
  return { ...Object.fromEntries(fields), ...commonName(messages) };
}

/** One value for those of several messages: thoughts and lists go on, of others the last counts. */
function oneOf(field: string, values: readonly unknown[]): unknown {
  if (values.length === 1) return values[0];
  if (values.every((value) => Array.isArray(value))) return values.flat();
  return THOUGHTS.has(field) ? values.filter((value) => value !== '').join(BETWEEN) : values.at(-1);
}

/** The message with `[picture]` for each picture. */
export function withoutPictures(message: UserMessage): UserMessage {
  const { content } = message;
  if (typeof content === 'string' || !content.some(isPicture)) return message;
  const parts = content.filter(isSaid).map((part) => (isPicture(part) ? PICTURE : part));
  return { ...message, content: asTextIfPlain(parts, '\n') };
}

/** The message without blank parts; null when that leaves nothing. */
function withoutBlanks(message: UserMessage): UserMessage | null {
  const { content } = message;
  if (typeof content === 'string') return isBlank(content) ? null : message;
  const said = content.filter(isSaid);
  if (said.length === 0) return null;
  return said.length === content.length ? message : { ...message, content: said };
}

const isSaid = (part: ChatPart): boolean => part.type !== 'text' || !isBlank(part.text);
const isPicture = (part: ChatPart): boolean => part.type === 'image_url';

/** Parts as one text where all are texts and nothing else: many servers of text models take no parts. */
function asTextIfPlain(parts: readonly ChatPart[], between: string): UserMessage['content'] {
  const texts = parts.flatMap((part) =>
    part.type === 'text' && Object.keys(part).length === 2 ? [part.text] : [],
  );
  return texts.length === parts.length ? texts.join(between) : parts;
}

/** The pairs of tags between which models put their thoughts, as text. Pure. */

/** One pair. */
export interface TagKind {
  /** The length of the closing tag at the first place where there is one, and that place; null where there is none. */
  readonly close: (text: string) => FoundTag | null;
  /** Whether more characters could make a closing tag of this text. */
  readonly mayClose: (text: string) => boolean;
}

export interface FoundTag {
  readonly at: number;
  readonly length: number;
}

/** What a text begins with: a tag, perhaps the beginning of one, or neither. */
export type TagBeginning =
  | { readonly type: 'opening'; readonly kind: TagKind; readonly length: number }
  /** A closing tag of any kind; the one that it closes was in the prompt, or in a field of its own. */
  | { readonly type: 'closing'; readonly length: number }
  | { readonly type: 'unfinished' }
  | null;

/** The longest tag, attributes included. */
const MAX_TAG_CHARS = 128;

/** Many reasoning models; EXAONE and Gemma; Reka; Seed-OSS. */
const NAMES = ['think', 'thinking', 'thought', 'thoughts', 'reasoning', 'seed:think'];
const NAME = NAMES.join('|');
const ATTRIBUTE = String.raw`\s+[\w:-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[\w.-]+)`;
const BEGUN_ATTRIBUTE = String.raw`\s+[\w:-]*(?:\s*=\s*(?:"[^"<>]*|'[^'<>]*|[\w.-]*))?`;
const OPENING = new RegExp(String.raw`^<(${NAME})(?:${ATTRIBUTE})*\s*>`, 'i');
const CLOSING = new RegExp(String.raw`^</(?:${NAME})\s{0,8}>`, 'i');
/** The tags behind their names, as long as they go on. */
const UNFINISHED = new RegExp(
  String.raw`^(?:<(?:${NAME})(?:${ATTRIBUTE})*(?:${BEGUN_ATTRIBUTE})?\s*|</(?:${NAME})\s{0,8})$`,
  'i',
);
const BEGUN_NAMES = NAMES.flatMap((name) => [`<${name}`, `</${name}`]);

function named(name: string): TagKind {
  const closing = new RegExp(String.raw`</${name}\s{0,8}>`, 'i');
  const behind = new RegExp(String.raw`^</${name}\s{0,8}$`, 'i');
  return {
    close: (text) => {
      const found = closing.exec(text);
      return found === null ? null : { at: found.index, length: found[0].length };
    },
    mayClose: (text) => `</${name}`.startsWith(text.toLowerCase()) || behind.test(text),
  };
}

function marked(closing: string): TagKind {
  return {
    close: (text) => {
      const at = text.indexOf(closing);
      return at === -1 ? null : { at, length: closing.length };
    },
    mayClose: (text) => closing.startsWith(text),
  };
}

const NAMED: ReadonlyMap<string, TagKind> = new Map(NAMES.map((name) => [name, named(name)]));

/** What begins a thought and what ends it, letter by letter. */
const MARKS = [
  ['[THINK]', '[/THINK]'], // Magistral
  ['◁think▷', '◁/think▷'], // Kimi-VL
  ['<|START_THINKING|>', '<|END_THINKING|>'], // Command A
  ['<|begin_of_thought|>', '<|end_of_thought|>'], // OpenThinker, Sky-T1
  ['<|channel|>analysis<|message|>', '<|channel|>final<|message|>'], // gpt-oss
  ['<|channel>thought', '<channel|>'], // Gemma 4
] as const;
const MARKED = MARKS.map(([opening, closing]) => ({ opening, closing, kind: marked(closing) }));

/** The kind of servers whose template opens the tag in the prompt. */
export const OPENED_IN_PROMPT: TagKind = named('think');

/** What the text begins with. How the text is cut does not change what is found in the end. */
export function beginningOf(text: string): TagBeginning {
  const opening = OPENING.exec(text);
  const kind = NAMED.get(opening?.[1]?.toLowerCase() ?? '');
  if (opening !== null && kind !== undefined && opening[0].length <= MAX_TAG_CHARS)
    return { type: 'opening', kind, length: opening[0].length };
  const closing = CLOSING.exec(text);
  if (closing !== null) return { type: 'closing', length: closing[0].length };
  for (const mark of MARKED) {
    if (text.startsWith(mark.opening))
      return { type: 'opening', kind: mark.kind, length: mark.opening.length };
    if (text.startsWith(mark.closing)) return { type: 'closing', length: mark.closing.length };
  }
  return isUnfinished(text) ? { type: 'unfinished' } : null;
}

function isUnfinished(text: string): boolean {
  if (text.length >= MAX_TAG_CHARS) return false;
  const lower = text.toLowerCase();
  return (
    BEGUN_NAMES.some((begun) => begun.startsWith(lower)) ||
    MARKED.some(({ opening, closing }) => opening.startsWith(text) || closing.startsWith(text)) ||
    UNFINISHED.test(text)
  );
}

/** How many characters at the end of a text may be the beginning of a closing tag. */
export function heldOf(text: string, { mayClose }: TagKind): number {
  for (let at = Math.max(0, text.length - MAX_TAG_CHARS); at < text.length; at++) {
    if (mayClose(text.slice(at))) return text.length - at;
  }
  return 0;
}

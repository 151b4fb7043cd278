/** The fields of a request that its server might not know, and how a refusal's words name them. Pure. */
import type { Clause } from './clauses.ts';
import { isRecord } from '../runs/record.ts';

/** The JSON body of a request to a model server. */
export type SentBody = Readonly<Record<string, unknown>>;

/** What messages, calls and tools consist of; every server knows these. */
const CORE = {
  messages: ['role', 'content', 'tool_calls', 'tool_call_id'],
  'messages.content': ['type', 'text', 'image_url', 'input_audio', 'file'],
  'messages.content.image_url': ['url'],
  'messages.tool_calls': ['id', 'type', 'function', 'index'],
  'messages.tool_calls.function': ['name', 'arguments'],
  tools: ['type', 'function', 'custom'],
  'tools.function': ['name', 'description', 'parameters'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/** Messages that are looked at for fields: histories are long, and their messages alike. */
const MAX_ITEMS = 200;
/** Fields that are looked for; callers may send any number. */
const MAX_FIELDS = 1_000;

/** The paths of the fields that may be left out: `seed`, `messages.name`, `tools.function.strict`. */
export function fieldsOf(body: SentBody): readonly string[] {
  const found = new Set(Object.keys(body));
  for (const [path, core] of Object.entries(CORE)) {
    for (const item of itemsAt(body, path.split('.'))) {
      for (const name of Object.keys(item))
        if (!core.some((known) => known === name)) found.add(`${path}.${name}`);
    }
  }
  return [...found].slice(0, MAX_FIELDS);
}

function itemsAt(value: unknown, [name, ...rest]: readonly string[]): readonly SentBody[] {
  if (Array.isArray(value)) {
    const all: readonly unknown[] = value;
    const looked = all.length <= MAX_ITEMS ? all : [...all.slice(0, 1), ...all.slice(1 - MAX_ITEMS)];
    return looked.flatMap((each) => itemsAt(each, name === undefined ? [] : [name, ...rest]));
  }
  if (!isRecord(value)) return [];
  return name === undefined ? [value] : itemsAt(value[name], rest);
}

/** Whether the clause is about the field. `fields` are all of the request: the same name may be in several places. */
export function isAbout({ text, place }: Clause, field: string, fields: readonly string[]): boolean {
  const path = field.split('.');
  const name = path.at(-1) ?? field;
  if (place !== null && (place.at(-1) === name || place[0] === name)) {
    if (place.length === 1) return path.length === 1 || !fields.includes(name);
    // `messages.assistant.name`: servers name what a place may hold as well.
    return path.length > 1 ? place[0] === path[0] : place[0] === name && !isPlaceBelow(place, fields);
  }
  if (!isNamed(text, name)) return false;
  const isNested = NESTED.test(text);
  if (path.length > 1) return isNested || !fields.includes(name);
  return !isNested || !fields.some((other) => other !== name && other.endsWith(`.${name}`));
}

const NESTED = /\bmessages?\b|\btools?\b|\bfunctions?\b|role:|tool_calls\b/i;

/** Whether a place is about a field further down that the request has. */
function isPlaceBelow(place: readonly string[], fields: readonly string[]): boolean {
  return fields.some((field) => {
    const path = field.split('.');
    return path.length > 1 && path[0] === place[0] && path.at(-1) === place.at(-1);
  });
}

/** Names that mean nothing else when they stand in a sentence. */
const UNMISTAKABLE = /^(?:temperature|seed|verbosity|modalities)$/;

/** Whether the words name the field, and do not only happen to have the word. */
function isNamed(text: string, name: string): boolean {
  // Who speaks, and not for whom the request is made.
  if (name === 'user' && /\brole/i.test(text)) return false;
  const safe = name.replaceAll(/[^\w-]/g, String.raw`\$&`);
  if (/[_\d-]/.test(name) || UNMISTAKABLE.test(name)) {
    const spaced = safe.replaceAll('_', '[ _-]?');
    return new RegExp(String.raw`(?<![\w-])${spaced}(?![\w-])`, 'i').test(text);
  }
  const before = String.raw`(?:["'\`‘“«「『《【([./#>$=]|[:,-]\s|[：，]\s?|(?:参数|字段)\s?|(?:parameters?|fields?|arguments?|propert(?:y|ies)|keys?|options?|inputs?|kwargs?)\W{1,3})`;
  const after = String.raw`(?:["'\`’”」』》】]?\s?(?:参数|字段)|["'\`’”]?\s(?:parameters?|field|argument|property|option|key|(?:is|are|was|were) (?:not|un|no longer|forbidden|deprecated))|=)`;
  return new RegExp(
    String.raw`(?<=${before})${safe}(?![\w-])|(?<![\w-])${safe}(?=${after})|^${safe}:`,
    'i',
  ).test(text);
}

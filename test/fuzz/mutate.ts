/**
 * Breaks a JSON value, and its text. A broken value may hold what `JSON.stringify` cannot write ({@link Raw}): huge numbers, half
 * surrogate pairs, keys that come twice.
 */
import type { Random } from '../chaos/random.ts';
import type { Known } from './known.ts';

/** Text that stands in JSON as it is. */
class Raw {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** An object as it is written: in this order, with a key as often as it is there. */
class Fields {
  readonly entries: Entries;

  constructor(entries: Entries) {
    this.entries = entries;
  }
}

type Entries = readonly (readonly [string, unknown])[];

/** Arrays in arrays. */
export const deep = (levels: number): Raw => new Raw('['.repeat(levels) + ']'.repeat(levels));
const deepObject = (levels: number): Raw => new Raw(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`);

/** Names that every object knows without anybody having written them into it. */
export const INHERITED = ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf'] as const;

const LONG = 20_000;
const NAMES = [...INHERITED, '', 'a.b[0]', '\u0000', 'x'.repeat(300)];

/** What may stand in a value's place. */
const HOSTILE: readonly (() => unknown)[] = [
  () => null,
  () => true,
  () => 0,
  () => -1,
  () => 0.1,
  () => 1e308,
  () => new Raw('1e400'),
  () => new Raw('-0'),
  () => new Raw('9007199254740993'),
  () => '',
  () => ' ',
  () => 'a',
  () => 'undefined',
  ...INHERITED.map((name) => () => name),
  () => 'null',
  () => '😀'.repeat(20),
  () => 'x'.repeat(LONG),
  () => '*'.repeat(LONG),
  () => '\u0000\u0001\u001b[31m\u2028\u202e',
  () => '"\'`$(id)${1}\\\r\n',
  () => '../../etc/passwd',
  () => new Raw(String.raw`"\ud800"`),
  () => new Raw(String.raw`"\udc00\ud800"`),
  () => [],
  () => ({}),
  () => [[]],
  () => [null],
  () => Array.from({ length: 1_000 }, () => 'a'),
  () => Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`k${index}`, index])),
  () => deep(10),
  () => deep(70),
  () => deep(2_000),
  () => deepObject(10),
  () => deepObject(70),
  () => deepObject(2_000),
  () => new Raw('{"__proto__":{"admin":true}}'),
  () => new Raw('{"a":1,"a":2}'),
  () => ({ type: 'code_interpreter' }),
  () => ({ type: 'image_file', image_file: { file_id: 'file_1' } }),
  () => 'data:image/png;base64,AAAA',
];

/** The value with one thing about it changed. */
export function mutated(value: unknown, random: Random, known: Known): unknown {
  const inside = typeof value === 'object' && value !== null && !(value instanceof Raw);
  if (!inside || random.chance(0.15)) return replaced(value, random, known);
  if (Array.isArray(value)) return mutatedList(value, random, known);
  return new Fields(mutatedEntries(entriesOf(value), random, known));
}

const entriesOf = (value: object): Entries =>
  value instanceof Fields ? value.entries : Object.entries(value);

function replaced(value: unknown, random: Random, known: Known): unknown {
  if (typeof value === 'string' && random.chance(0.3)) return spoiled(value, random);
  if (random.chance(0.15)) return known.anyId(random);
  if (random.chance(0.1)) return [value];
  return random.pick(HOSTILE)();
}

/** A string with something in it. */
function spoiled(text: string, random: Random): string {
  const at = random.between(0, text.length);
  const what = random.pick(['\u0000', '"', '\\', '\n', '😀', '\u202e', '%00', ' ', '{}', 'x'.repeat(600)]);
  return text.slice(0, at) + what + (random.chance(0.5) ? text.slice(at) : '');
}

function mutatedList(list: readonly unknown[], random: Random, known: Known): unknown {
  const at = random.between(0, list.length);
  if (random.chance(0.2)) return Array.from({ length: random.between(2, 150) }, () => list[0] ?? null);
  if (at === list.length) return [...list, random.pick(HOSTILE)()];
  if (random.chance(0.1)) return list.toSpliced(at, 1);
  return list.with(at, mutated(list[at], random, known));
}

function mutatedEntries(entries: Entries, random: Random, known: Known): Entries {
  const at = random.between(0, entries.length);
  const entry = entries[at];
  if (entry === undefined || random.chance(0.15)) {
    const name = random.chance(0.5) ? random.pick(NAMES) : 'unknown_key';
    return [...entries, [name, random.pick(HOSTILE)()]];
  }
  const [name, value] = entry;
  // The same key twice: the last one counts, as everywhere.
  if (random.chance(0.1)) return [...entries, [name, random.pick(HOSTILE)()]];
  if (random.chance(0.2)) return entries.toSpliced(at, 1);
  if (random.chance(0.05)) return entries.with(at, [random.pick(NAMES), value]);
  return entries.with(at, [name, mutated(value, random, known)]);
}

/** The JSON text of a value that may be broken. */
export function jsonOf(value: unknown): string {
  if (value instanceof Raw) return value.text;
  if (Array.isArray(value)) return `[${value.map(jsonOf).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const pairs = entriesOf(value).filter(([, inner]) => inner !== undefined);
  return `{${pairs.map(([name, inner]) => `${JSON.stringify(name)}:${jsonOf(inner)}`).join(',')}}`;
}

/** JSON text that no longer is any, or not only. */
export function spoiledText(text: string, random: Random): string {
  const at = random.between(0, text.length);
  return random.pick([
    () => text.slice(0, at),
    () => text + text,
    () => `\uFEFF${text}`,
    () => `\uFEFF\uFEFF${text}`,
    () => text.replaceAll('"', "'"),
    () => text.replace(/\}$/, ',}'),
    () => `/* a comment */${text}`,
    () => `${text.slice(0, at)}\u0000${text.slice(at)}`,
    () => text.slice(0, at) + random.pick(['[', ']', '{', '}', '"', '\\', ',', ':']) + text.slice(at),
    () => ' '.repeat(LONG),
    () => '['.repeat(50_000),
    () => deep(50_000).text,
    () => `[${'{},'.repeat(LONG)}{}]`,
    () => '{}',
    () => 'null',
    () => JSON.stringify(text),
    () => 'NaN',
    () => `a=b&c[]=d`,
  ])();
}

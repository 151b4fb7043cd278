/**
 * JSON that survives careless shells. A client that says `echo $RESPONSE` without quotes has its spaces squeezed and
 * its `*`, `?` and `[` replaced by file names; one that pastes a response into other JSON escapes its quotes but not
 * its backslashes. With the escapes used here, the text survives that unchanged, and every JSON parser reads the same
 * value. Owns how such text is written and cut to a length; knows nothing of its meaning.
 */

/** Every place where a string may need another spelling. Only brackets are found outside of strings as well. */
const SPOTS = /\\(?:u[0-9A-Fa-f]{4}|.)|[*?[]| {2,}|[+@!](?=\()/g;

/** The meaning of the letter in a short escape; the others (`"`, `\`, `/`) stand for themselves. */
const SHORT_ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/**
 * The same JSON, spelled so that bash's word splitting and file name expansion leave it alone.
 * @param json one line of valid JSON without space between its tokens, as JSON.stringify writes it. Only the insides of
 * strings change. A shell can still read the brackets of the structure as a pattern, but that matches only file names
 * with a double quote in them. A text that is itself an array lacks this protection, so answer with objects.
 */
export function shellSafe(json: string): string {
  // Quotes are counted only where a bracket asks: every poll of a run comes here, and a run has a hundred of them.
  let [inString, quote] = [false, quoteFrom(json, 0)];
  return json.replace(SPOTS, (spot, offset: number) => {
    if (spot === '[') {
      for (; quote < offset; quote = quoteFrom(json, quote + 1)) inString = !inString;
    } else {
      inString = true;
      const end = offset + spot.length;
      if (quote < end) quote = quoteFrom(json, end);
    }
    if (!inString || spot.startsWith('\\u')) return spot;
    if (spot.startsWith('\\')) return escaped(SHORT_ESCAPES[spot.slice(1)] ?? spot.slice(1));
    // Shells keep one space of a run, so the first is left as it is: most spaces are single.
    if (spot.startsWith(' ')) return ` ${escaped(' ').repeat(spot.length - 1)}`;
    return escaped(spot);
  });
}

/** Where the next quote is; behind the end where there is none. */
function quoteFrom(json: string, start: number): number {
  const at = json.indexOf('"', start);
  return at === -1 ? json.length : at;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** The smallest length that holds every kind of shortened answer. */
const MIN_BYTES = 32;
/** Deeper values are left out of an answer that must be cut. This limits the recursion, not the answers. */
const MAX_DEPTH = 32;
/** Fewer bytes than this say nothing about a value: it is left out rather than cut shorter. */
const USEFUL_BYTES = 64;
const ELLIPSIS = '…';
const TRUNCATED = '… (truncated)';

/**
 * One line of shell-safe JSON of at most `maxBytes` bytes of UTF-8. A longer text is cut so that it stays valid JSON
 * and says that it was cut: a long string ends in `… (truncated)`, an array in that string, an object in
 * `"truncated":true`. Inside, arrays lose items from their end, strings end in `…`, and an object's small members are
 * kept at the expense of its big ones.
 * @throws {RangeError} when maxBytes is below 32.
 * @throws {TypeError} when JSON cannot hold the value (a cycle, a bigint).
 */
export function fitJson(value: unknown, maxBytes: number): string {
  if (!(maxBytes >= MIN_BYTES))
    throw new RangeError(`maxBytes must be at least ${MIN_BYTES}, not ${maxBytes}.`);
  // JSON.stringify returns undefined for values that JSON lacks, although its type does not say so.
  const whole = shellSafe(JSON.stringify(value ?? null) ?? 'null');
  if (sizeOf(whole) <= maxBytes) return whole;
  const plain: unknown = JSON.parse(whole);
  if (typeof plain === 'string') return fitString(whole, maxBytes, TRUNCATED) ?? write(TRUNCATED);
  if (Array.isArray(plain)) {
    const mark = write(TRUNCATED);
    const items = fitItems(plain, maxBytes - '[,]'.length - sizeOf(mark), 0);
    return `[${[...items, mark].join(',')}]`;
  }
  const mark = '"truncated":true';
  // Every number, true, false and null is shorter than MIN_BYTES, so this is an object.
  const { truncated: _, ...members } = membersOf(plain);
  return `{${[...fitMembers(members, maxBytes - '{,}'.length - mark.length, 0), mark].join(',')}}`;
}

/** As much of a value as fits into `room` bytes; null when that would be too little to be useful. */
function fit(value: unknown, room: number, depth: number): string | null {
  const whole = write(value);
  if (sizeOf(whole) <= room) return whole;
  if (typeof value === 'string') return fitString(whole, room, ELLIPSIS);
  if (typeof value !== 'object' || value === null || depth >= MAX_DEPTH || room < '[]'.length) return null;
  if (Array.isArray(value)) return `[${fitItems(value, room - '[]'.length, depth + 1).join(',')}]`;
  return `{${fitMembers(membersOf(value), room - '{}'.length, depth + 1).join(',')}}`;
}

/** A JSON string cut between two characters or escapes, with `mark` at its end. */
function fitString(whole: string, room: number, mark: string): string | null {
  let left = room - '""'.length - sizeOf(mark);
  if (left < 0) return null;
  let end = 1;
  for (const [unit] of whole.slice(1, -1).matchAll(/\\u[0-9a-f]{4}|./gsu)) {
    left -= sizeOf(unit);
    if (left < 0) break;
    end += unit.length;
  }
  return `${whole.slice(0, end)}${mark}"`;
}

/** The first items, whole. An item that is too big is cut, because leaving it out could leave nothing. */
function fitItems(items: readonly unknown[], room: number, depth: number): string[] {
  const kept: string[] = [];
  let left = room;
  for (const item of items) {
    const whole = write(item);
    const size = sizeOf(whole) + ','.length;
    if (size > left) {
      const piece = size > room && left >= USEFUL_BYTES ? fit(item, left - ','.length, depth) : null;
      if (piece !== null) kept.push(piece);
      break;
    }
    kept.push(whole);
    left -= size;
  }
  return kept;
}

/** The members in their order; from the smallest to the biggest, each may take an equal share of the room left. */
function fitMembers(members: Readonly<Record<string, unknown>>, room: number, depth: number): string[] {
  const kept: { index: number; head: string; value: unknown; size: number }[] = [];
  let promised = 0;
  for (const [index, [key, value]] of Object.entries(members).entries()) {
    const head = `${write(key)}:`;
    const size = sizeOf(head) + sizeOf(write(value)) + ','.length;
    promised += Math.min(size, USEFUL_BYTES);
    if (promised > room) break;
    kept.push({ index, head, value, size });
  }
  const pieces: { index: number; text: string }[] = [];
  let left = room;
  for (const [rank, { index, head, value }] of kept.toSorted((a, b) => a.size - b.size).entries()) {
    const share = Math.floor(left / (kept.length - rank)) - ','.length;
    const piece = fit(value, share - sizeOf(head), depth);
    if (piece === null) continue;
    pieces.push({ index, text: head + piece });
    left -= sizeOf(head) + sizeOf(piece) + ','.length;
  }
  return pieces.toSorted((a, b) => a.index - b.index).map(({ text }) => text);
}

function membersOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' ? { ...value } : {};
}

const write = (value: unknown): string => shellSafe(JSON.stringify(value));
const sizeOf = (text: string): number => Buffer.byteLength(text);

/**
 * JSON as clients write it, read with limits on its depth and its size. A body that does not parse is refused with the
 * place where it breaks, because many clients build their bodies from strings, and their developers look for the
 * mistake in a log.
 */
import { notJson } from '../../errors.ts';
import { extentOf, MAX_JSON_DEPTH } from '../../runs/json-extent.ts';

/** A check may report every value separately; the longest conversations have a tenth of this. */
const MAX_VALUES = 200_000;
/** The search parses once for each doubling of the length; beyond this size it would hold up other requests. */
const MAX_SEARCHED_CHARACTERS = 1024 * 1024;

/**
 * The value of a body with at most so many values; no body at all is `{}`.
 * @throws {ApiError} 400 saying where it breaks.
 */
export function parseJson(body: string, maxValues: number = MAX_VALUES): unknown {
  const text = body.replace(/^\uFEFF/, '');
  if (text.trim() === '') return {};
  const { depth, values } = extentOf(text);
  if (depth > MAX_JSON_DEPTH) throw notJson(`It is nested deeper than ${MAX_JSON_DEPTH} levels.`);
  if (values > maxValues) throw notJson(`It has more than ${maxValues} values.`);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw notJson(explain(text, String(error)));
  }
}

/** Says where the JSON breaks, and names known mistakes. */
function explain(text: string, complaint: string): string {
  if (/"tool_outputs":\s*\}/.test(text)) {
    return 'There is nothing behind "tool_outputs": a shell script that builds the body failed to quote a tool output.';
  }
  if (endsEarly(text, complaint)) return 'It ends before the JSON is complete.';
  if (text.length > MAX_SEARCHED_CHARACTERS) return 'It is not JSON.';
  return `It breaks at character ${breaksAt(text)}. (JSON has no comments, trailing commas or single quotes.)`;
}

/**
 * How many leading characters can begin a JSON text. V8 does not always say where a text breaks, so shorter texts are
 * tried.
 */
function breaksAt(text: string): number {
  let sound = 0;
  let broken = text.length;
  while (sound + 1 < broken) {
    const middle = Math.floor((sound + broken) / 2);
    if (isBeginning(text.slice(0, middle))) sound = middle;
    else broken = middle;
  }
  return sound;
}

function isBeginning(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    return endsEarly(text, String(error));
  }
}

/** Whether V8's only complaint about `text` is that it ends too soon. */
function endsEarly(text: string, complaint: string): boolean {
  const position = /in JSON at position (\d+)/.exec(complaint)?.[1];
  return complaint.startsWith('SyntaxError: Unexpected end') || Number(position) === text.length;
}

/** The `model` of a JSON body, replaced in its text: numbers that JavaScript cannot hold, and everything else, stay as they are. */
import { endOfString } from '../../runs/json-extent.ts';

/** The text of the JSON object with this model, in place of its own or as its first field. */
export function withModel(text: string, model: string): string {
  const value = JSON.stringify(model);
  const spans = modelsIn(text);
  if (spans.length === 0) {
    const at = text.indexOf('{') + 1;
    const isEmpty = /^\s*\}/.test(text.slice(at, at + 1_000));
    return `${text.slice(0, at)}"model":${value}${isEmpty ? '' : ','}${text.slice(at)}`;
  }
  let changed = '';
  let from = 0;
  for (const { start, end } of spans) {
    changed += text.slice(from, start) + value;
    from = end;
  }
  return changed + text.slice(from);
}

/** Where the values of `model` lie that are strings or null, in the object itself. Usually there is one. */
function modelsIn(text: string): readonly { readonly start: number; readonly end: number }[] {
  const spans = [];
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text[at];
    if (unit === '{' || unit === '[') depth += 1;
    else if (unit === '}' || unit === ']') depth -= 1;
    if (unit !== '"') continue;
    const start = at;
    at = endOfString(text, at);
    if (depth !== 1 || at - start > MAX_NAME_LENGTH) continue;
    const value = VALUE.exec(text.slice(at + 1, at + 1 + MAX_NAME_LENGTH));
    if (value === null || JSON.parse(text.slice(start, at + 1)) !== 'model') continue;
    const begin = at + 1 + value[0].length;
    const isNull = text.startsWith('null', begin);
    if (!isNull && text[begin] !== '"') continue;
    const end = isNull ? begin + 'null'.length : endOfString(text, begin) + 1;
    spans.push({ start: begin, end });
    at = end - 1;
  }
  return spans;
}

/** Longer than `model`, however it is escaped, and the blanks behind it. */
const MAX_NAME_LENGTH = 256;
const VALUE = /^\s*:\s*/;

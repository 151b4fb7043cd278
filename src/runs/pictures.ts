/**
 * Pictures in the outputs of tools. Any tool may answer with a picture, and the model is shown it. The general form is
 * JSON: an object with `image_url` (a URL, or an object that holds one) and perhaps a `text`, or an array of content
 * parts like those of messages. A bare data URL of an image also counts as a picture; any other bare URL may simply be
 * the tool's answer. Pure.
 */
import type { ChatPart } from './model.ts';

/** An output as the model gets it: the tool's answer, and the parts that follow as if the user had sent them. */
export interface ShownPictures {
  readonly answer: string;
  readonly parts: readonly ChatPart[];
}

/** Tool messages cannot carry pictures. */
const FOLLOWS = 'The picture follows.';
const DATA_URL = /^data:image\/[\w.+-]+;base64,[A-Za-z0-9+/=\s]+$/i;
const URL = /^https?:\/\/\S+$/i;
/** An object with further fields is data that contains an address, not a picture. */
const PICTURE_FIELDS: ReadonlySet<string> = new Set(['type', 'image_url', 'text', 'detail']);

/** The pictures in an output; null where there are none, as in nearly all outputs. */
export function picturesIn(output: string): ShownPictures | null {
  const text = output.trim();
  if (DATA_URL.test(text)) return { answer: FOLLOWS, parts: [picture(text)] };
  if (!/^[[{]/.test(text) || !text.includes('"image_url"')) return null;
  const value = parse(text);
  return Array.isArray(value) ? fromParts(value) : fromObject(value);
}

/**
 * An output of a tool that a device answers, in the general form: a device may answer with a picture's bare URL, or
 * with further fields beside it.
 */
export function deviceOutput(output: string): string {
  if (picturesIn(output) !== null) return output;
  const text = output.trim();
  if (URL.test(text)) return pictureOutput(text, '');
  const value = text.startsWith('{') ? parse(text) : null;
  const url = urlIn(value);
  if (url === null) return output;
  const said = field(value, 'text');
  return pictureOutput(url, typeof said === 'string' ? said : '');
}

/** The output that shows the picture at `url`, and what the user said along with it. */
export function pictureOutput(url: string, text: string): string {
  return JSON.stringify({ image_url: url, ...(text !== '' && { text }) });
}

/**
 * An output that a tool of the server has written. Its words are the tool's, who may have read them from a stranger's page:
 * beside a picture they stay its answer, and are never told as the user's.
 */
export function toolOutput(output: string): string {
  const shown = picturesIn(output);
  const words = shown?.parts.filter((part) => part.type === 'text') ?? [];
  if (shown === null || words.length === 0) return output;
  return JSON.stringify([...words, ...shown.parts.filter((part) => part.type !== 'text')]);
}

function fromObject(value: unknown): ShownPictures | null {
  const url = urlIn(value);
  if (url === null || fieldsOf(value).some((name) => !PICTURE_FIELDS.has(name))) return null;
  const text = field(value, 'text');
  const said: readonly ChatPart[] = typeof text === 'string' && text !== '' ? [{ type: 'text', text }] : [];
  return { answer: FOLLOWS, parts: [...said, picture(url, detailIn(value))] };
}

/** The texts of an array are the tool's own words, so they stay its answer. */
function fromParts(values: readonly unknown[]): ShownPictures | null {
  const words: string[] = [];
  const parts: ChatPart[] = [];
  for (const value of values) {
    const [type, text, url] = [field(value, 'type'), field(value, 'text'), urlIn(value)];
    if (type === 'text' && typeof text === 'string') words.push(text);
    else if (type === 'image_url' && url !== null) parts.push(picture(url, detailIn(value)));
    else return null;
  }
  return parts.length === 0 ? null : { answer: [...words, FOLLOWS].join('\n'), parts };
}

function picture(url: string, detail = 'auto'): ChatPart {
  return { type: 'image_url', image_url: { url, detail } };
}

/** The URL in `{"image_url": "<url>"}` or `{"image_url": {"url": "<url>"}}`. */
function urlIn(value: unknown): string | null {
  const image = field(value, 'image_url');
  const url = typeof image === 'string' ? image : field(image, 'url');
  const text = typeof url === 'string' ? url.trim() : '';
  return URL.test(text) || DATA_URL.test(text) ? text : null;
}

function detailIn(value: unknown): string | undefined {
  const detail = field(field(value, 'image_url'), 'detail');
  return typeof detail === 'string' ? detail : undefined;
}

function fieldsOf(value: unknown): readonly string[] {
  return typeof value === 'object' && value !== null ? Object.keys(value) : [];
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

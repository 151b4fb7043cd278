/**
 * The one tool whose answer is a picture. Devices and clients give it as a URL, a data URL, or JSON around one; the model
 * is shown the picture.
 */
import type { ChatPart } from './model.ts';

/** The function by which a model asks a device to look. */
export const PHOTO_TOOL = 'take_a_photo';

const PICTURE = /^(?:https?:\/\/\S+|data:image\/[\w.+-]+;base64,[A-Za-z0-9+/=\s]+)$/i;

/** The output that answers the photo call with `url`, and what the user said along with the picture. */
export function photoOutput(url: string, text: string): string {
  return JSON.stringify({ image_url: url, ...(text !== '' && { text }) });
}

/** What the model is to see of the call of `name` that gave `output`; null when that is another tool, or no picture. */
export function photoIn(name: string, output: string): readonly ChatPart[] | null {
  if (name !== PHOTO_TOOL) return null;
  const { url, text } = pictureOf(output);
  if (!PICTURE.test(url)) return null;
  const picture: ChatPart = { type: 'image_url', image_url: { url, detail: 'auto' } };
  return text === '' ? [picture] : [{ type: 'text', text }, picture];
}

/** The URL in `<url>`, `{"image_url": "<url>"}` or `{"image_url": {"url": "<url>"}}`; empty where there is none. */
function pictureOf(output: string): { readonly url: string; readonly text: string } {
  const trimmed = output.trim();
  if (!trimmed.startsWith('{')) return { url: trimmed, text: '' };
  const value = parse(trimmed);
  const image = field(value, 'image_url');
  const url = typeof image === 'string' ? image : field(image, 'url');
  const text = field(value, 'text');
  return { url: typeof url === 'string' ? url.trim() : '', text: typeof text === 'string' ? text : '' };
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

/**
 * Pictures in the many forms in which clients send them, before the request is checked: each becomes an `image_url`
 * part. The forms of other APIs are read from everybody, because they can mean nothing else. Bare base64, a media type
 * that is missing or wrong, and line breaks in the data are read from devices only: from programs they are mistakes,
 * which a refusal shows.
 */
import { isRecord } from '../../runs/record.ts';

const DETAILS = ['auto', 'low', 'high'];
/** The types of parts that may hold a picture. */
const TYPES = new Set(['image_url', 'image', 'input_image']);
/** As many characters of base64 as show what a file is. */
const HEAD_LENGTH = 24;
/** Shorter text in base64 is no picture; words of a language could look like it. */
const MIN_BARE_LENGTH = 40;

interface Picture {
  readonly url: string;
  /** The media type that the client says, if it says one. */
  readonly mediaType: string | null;
}

/** A request with the pictures of its messages as `image_url` parts; nothing is checked here. */
export function withSentPictures(given: unknown, isDevice: boolean): unknown {
  if (!isRecord(given) || !Array.isArray(given['messages'])) return given;
  return { ...given, messages: given['messages'].map((message) => withPictures(message, isDevice)) };
}

function withPictures(message: unknown, isDevice: boolean): unknown {
  if (!isRecord(message)) return message;
  const beside = besideText(message['images'], isDevice);
  const content = contentOf(message['content'], isDevice);
  if (beside.length === 0) return content === message['content'] ? message : { ...message, content };
  return { ...message, content: [...partsOf(content), ...beside] };
}

function partsOf(content: unknown): readonly unknown[] {
  if (Array.isArray(content)) return content;
  return typeof content === 'string' && content !== '' ? [{ type: 'text', text: content }] : [];
}

/** Ollama's `images`: base64 beside the text. */
function besideText(images: unknown, isDevice: boolean): readonly unknown[] {
  if (!Array.isArray(images)) return [];
  return images.flatMap((image: unknown) => {
    if (typeof image === 'string') return [partOf({ url: image, mediaType: null }, undefined, true)];
    const found = isDevice && isRecord(image) ? pictureIn(image, isDevice) : null;
    return found === null ? [] : [partOf(found, image, isDevice)];
  });
}

function contentOf(content: unknown, isDevice: boolean): unknown {
  if (Array.isArray(content)) return content.map((part: unknown) => read(part, isDevice));
  // A device may send its one part without a list.
  return isDevice && isRecord(content) ? [read(content, isDevice)] : content;
}

function read(part: unknown, isDevice: boolean): unknown {
  if (typeof part === 'string' && isDevice) return { type: 'text', text: part };
  if (!isRecord(part)) return part;
  const type = part['type'] ?? (isDevice ? typeMeant(part) : undefined);
  if (type === 'text' && part['type'] === undefined) return { ...part, type };
  if (typeof type !== 'string' || !TYPES.has(type)) return part;
  // OpenAI's form of others than devices is left to the check, whose words are about the request as it came.
  if (!isDevice && type !== 'input_image' && part['image_url'] !== undefined) return part;
  const found = pictureIn(part, isDevice);
  return found === null ? part : partOf(found, part, isDevice);
}

function typeMeant(part: Readonly<Record<string, unknown>>): string | undefined {
  if (typeof part['text'] === 'string') return 'text';
  return ['image_url', 'image', 'source'].some((name) => part[name] !== undefined) ? 'image' : undefined;
}

/** The picture that a part holds, under any of the names in use; null where there is none. */
function pictureIn(part: Readonly<Record<string, unknown>>, isDevice: boolean): Picture | null {
  const names = ['image_url', 'image', 'source', ...(isDevice ? ['url', 'data', 'base64', 'b64_json'] : [])];
  const held = names.map((name) => part[name]).find((value) => value != null);
  const within = isRecord(held) ? held : {};
  const url = isRecord(held) ? (held['url'] ?? held['data'] ?? held['base64']) : held;
  if (typeof url !== 'string') return null;
  const said = [within, part].flatMap((one) => [one['media_type'], one['mime_type'], one['mediaType']]);
  const mediaType = said.find((value) => typeof value === 'string') ?? null;
  return within['type'] === 'base64' && !isDevice
    ? { url: `data:${mediaType ?? 'image/jpeg'};base64,${url}`, mediaType }
    : { url, mediaType };
}

/** @param mends whether the address is put right where it is none */
function partOf({ url, mediaType }: Picture, part: unknown, mends: boolean): unknown {
  const whole = isRecord(part) ? part : {};
  const holder = isRecord(whole['image_url']) ? whole['image_url'] : whole;
  const detail = DETAILS.find((one) => one === holder['detail']);
  return {
    type: 'image_url',
    image_url: { url: mends ? pictureUrl(url, mediaType) : url, ...(detail !== undefined && { detail }) },
  };
}

/** The address of a picture as a device gives it; unchanged where it cannot be a picture, so that the check refuses it. */
function pictureUrl(given: string, mediaType: string | null): string {
  const text = given.trim();
  if (/^https?:\/\//i.test(text)) return text;
  const [prefix = '', declared = ''] = /^data:([^;,]*)[^,]{0,64},/i.exec(text) ?? [];
  const data = bareBase64(text.slice(prefix.length));
  if (data === null) return text;
  const type = typeOf(data) ?? imageType(declared) ?? (prefix === '' ? imageType(mediaType ?? '') : null);
  return type === null ? text : `data:${type};base64,${data}`;
}

/** The output of a device's tool: bare base64 of a picture becomes its data URL. */
export function pictureOutputOf(output: string): string {
  const data = output.length < MIN_BARE_LENGTH ? null : bareBase64(output.trim());
  const type = data === null ? null : typeOf(data);
  return data === null || type === null ? output : `data:${type};base64,${data}`;
}

/** Base64 in the standard alphabet, without blanks and with its padding; null for other text. */
function bareBase64(text: string): string | null {
  const whole = text.replaceAll(/\s+|\\[rn]/g, '');
  const data = whole.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '');
  if (data === '' || !/^[A-Za-z0-9+/]+$/.test(data)) return null;
  return data.padEnd(Math.ceil(data.length / 4) * 4, '=');
}

/** The media type that the beginning of the data shows; null for others than the four that models know. */
function typeOf(base64: string): string | null {
  const head = Buffer.from(base64.slice(0, HEAD_LENGTH), 'base64').toString('latin1');
  if (head.startsWith('\u00FF\u00D8\u00FF')) return 'image/jpeg';
  if (head.startsWith('\u0089PNG')) return 'image/png';
  if (head.startsWith('GIF8')) return 'image/gif';
  return head.startsWith('RIFF') && head.slice(8, 12) === 'WEBP' ? 'image/webp' : null;
}

function imageType(said: string): string | null {
  const type = said.trim().toLowerCase();
  if (type === 'image/jpg') return 'image/jpeg';
  return /^image\/[\w.+-]+$/.test(type) ? type : null;
}

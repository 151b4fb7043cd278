/** Bytes as text: UTF-8, or UTF-16 with a mark. Anything else would be guessed, and a wrong guess is not found again. Pure. */
import { DocumentRefusal, MAX_CHARACTERS, tooLong, unsupported } from './refusal.ts';

/** No character has more bytes. */
const MAX_BYTES = MAX_CHARACTERS * 4;

/**
 * The text of a file.
 * @param declared the encoding that the file itself names, if any
 * @throws {DocumentRefusal} for what is no text, or too long.
 */
export function decoded(bytes: Uint8Array, declared: string | null = null): string {
  if (bytes.length > MAX_BYTES) throw tooLong();
  const text = decodedAs(bytes, markOf(bytes) ?? 'utf-8') ?? decodedAs(bytes, declared);
  if (text === null) {
    throw new DocumentRefusal(
      'unsupported_file',
      'is not text in UTF-8. Store it as UTF-8, or as UTF-16 with a byte order mark.',
    );
  }
  if (text.length > MAX_CHARACTERS) throw tooLong();
  if (text.includes('\u0000')) throw unsupported('is not text');
  return text;
}

function markOf([first, second]: Uint8Array): string | null {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  return first === 0xfe && second === 0xff ? 'utf-16be' : null;
}

function decodedAs(bytes: Uint8Array, encoding: string | null): string | null {
  if (encoding === null) return null;
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** The text without what is not seen: control characters, halves of characters, spaces at the ends of lines. */
export function tidied(text: string): string {
  return text
    .replaceAll(/\r\n?|[\u0085\u2028]/g, '\n')
    .replaceAll(/\u2029|\f/g, '\n\n')
    .replaceAll(/[^\P{Cc}\n\t]|[\uFEFF\u{E0000}-\u{E007F}]/gu, '')
    .replaceAll(/[ \t\u00a0]+$/gm, '')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trim()
    .toWellFormed();
}

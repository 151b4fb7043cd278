/** Why no text is taken from a document, in words for its owner; and how much may be taken. */
import type { IndexErrorCode } from '../runs/vector-store.ts';

/** The most that the packed parts of a document may have together. */
export const MAX_UNPACKED_BYTES = 64 * 1024 * 1024;
/** The longest text. */
export const MAX_CHARACTERS = 16_000_000;

export class DocumentRefusal extends Error {
  override readonly name = 'DocumentRefusal';
  readonly code: IndexErrorCode;

  /** @param message without the name of the file, which begins the sentence */
  constructor(code: IndexErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

const SUPPORTED =
  'Supported are PDF with text, Word, PowerPoint and Excel (docx, pptx, xlsx), OpenDocument (odt, odp, ods), HTML, and text of any kind in UTF-8, such as Markdown, code, CSV and JSON.';

/** @param why such as `is a picture` */
export function unsupported(why: string): DocumentRefusal {
  return new DocumentRefusal('unsupported_file', `${why}, so no text can be read from it. ${SUPPORTED}`);
}

export function damaged(what: string): DocumentRefusal {
  return new DocumentRefusal('invalid_file', `is damaged: ${what}.`);
}

export function encrypted(): DocumentRefusal {
  return new DocumentRefusal('unsupported_file', 'is encrypted. Store it without a password first.');
}

/** Text as it is found, up to the longest. */
export class TextSink {
  readonly #parts: string[] = [];
  #characters = 0;

  /** @throws {DocumentRefusal} when it is too long. */
  add(text: string): void {
    this.#characters += text.length;
    if (this.#characters > MAX_CHARACTERS) throw tooLong();
    this.#parts.push(text);
  }

  get text(): string {
    return this.#parts.join('');
  }
}

export function tooLong(): DocumentRefusal {
  return new DocumentRefusal(
    'invalid_file',
    `holds more than ${MAX_CHARACTERS / 1_000_000} million characters. Divide it into several files.`,
  );
}

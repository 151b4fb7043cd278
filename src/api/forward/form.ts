/**
 * A multipart form as it comes, with the value of its field `model` made out. Nothing is decoded or written anew: all pieces
 * together are the form, byte for byte. (A parser of forms gives values but not their places, so what it read would have to be
 * encoded again.) https://www.rfc-editor.org/rfc/rfc7578
 */
import { ApiError } from '../../errors.ts';

/** Pieces in their order; each has its bytes of the form. */
export type FormPiece =
  /** The value of the field `model`, whole. */
  | { readonly type: 'model'; readonly bytes: Buffer; readonly value: string }
  /** The head of a part with a file, whose content follows. */
  | { readonly type: 'file'; readonly bytes: Buffer }
  /** The delimiter that ends the form. */
  | { readonly type: 'end'; readonly bytes: Buffer }
  | { readonly type: 'other'; readonly bytes: Buffer };

/** A head is a name and a content type. */
const MAX_HEAD_BYTES = 16 * 1024;
/** The longest name of a model. */
export const MAX_MODEL_BYTES = 1024;
const MAX_BOUNDARY_LENGTH = 200;

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = '\r\n';

function notAForm(detail: string): ApiError {
  return new ApiError(400, `We could not read the multipart form in your request. ${detail}`);
}

/** What separates the parts, as the content type says. @throws {ApiError} 400 where it does not. */
export function boundaryOf(contentType: string): string {
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]+)"|([^\s;"]+))/i.exec(contentType) ?? [];
  const boundary = quoted ?? plain ?? '';
  if (boundary !== '' && boundary.length <= MAX_BOUNDARY_LENGTH) return boundary;
  throw notAForm(
    "Its content type needs a 'boundary'; HTTP libraries set it when they are left to write that header.",
  );
}

/** @throws {ApiError} 400 for a head without an end, or a name of a model without one. */
export async function* readForm(
  chunks: AsyncIterable<Buffer>,
  boundary: string,
): AsyncGenerator<FormPiece, void> {
  const reader = new FormReader(boundary);
  for await (const chunk of chunks) {
    reader.push(chunk);
    for (let piece = reader.next(); piece !== null; piece = reader.next()) yield piece;
  }
  // A form that breaks off is the model server's to refuse.
  const rest = reader.rest();
  if (rest.length > 0) yield { type: 'other', bytes: rest };
}

class FormReader {
  readonly #delimiter: Buffer;
  /** What has come and is in no piece yet. The first delimiter has no line before it, so the end of one is invented. */
  #pending: Buffer = Buffer.from(LINE_END);
  /** How many of these bytes are no part of the form. */
  #invented = LINE_END.length;
  #place: 'content' | 'delimiter' | 'behind' = 'content';
  /** Whether the content is the name of a model. */
  #isModel = false;

  constructor(boundary: string) {
    this.#delimiter = Buffer.from(`${LINE_END}--${boundary}`, 'latin1');
  }

  push(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
  }

  /** The next piece; null where more has to come first. */
  next(): FormPiece | null {
    if (this.#pending.length === 0) return null;
    switch (this.#place) {
      case 'content':
        return this.#isModel ? this.#model() : this.#content();
      case 'delimiter':
        return this.#head();
      case 'behind':
        return { type: 'other', bytes: this.rest() };
    }
  }

  /** All that is left. */
  rest(): Buffer {
    return this.#take(this.#pending.length);
  }

  #content(): FormPiece | null {
    const { at, isWhole } = find(this.#pending, this.#delimiter);
    if (isWhole) this.#place = 'delimiter';
    if (at > 0) return { type: 'other', bytes: this.#take(at) };
    return isWhole ? this.#head() : null;
  }

  #model(): FormPiece | null {
    const { at, isWhole } = find(this.#pending, this.#delimiter);
    if (at > MAX_MODEL_BYTES) throw notAForm("The field 'model' is too long.");
    if (!isWhole) return null;
    this.#place = 'delimiter';
    const bytes = this.#take(at);
    return { type: 'model', bytes, value: bytes.toString('utf8') };
  }

  #head(): FormPiece | null {
    const from = this.#delimiter.length;
    if (this.#pending.toString('latin1', from, from + 2) === '--') {
      this.#place = 'behind';
      return { type: 'end', bytes: this.rest() };
    }
    const end = this.#pending.indexOf(HEAD_END, from);
    if (end === -1) {
      if (this.#pending.length > MAX_HEAD_BYTES) throw notAForm('The head of a part has no end.');
      return null;
    }
    const kind = kindOf(this.#pending.toString('utf8', from, end));
    this.#isModel = kind === 'model';
    this.#place = 'content';
    return { type: kind === 'file' ? 'file' : 'other', bytes: this.#take(end + HEAD_END.length) };
  }

  /** Takes bytes from the front. */
  #take(count: number): Buffer {
    const bytes = this.#pending.subarray(Math.min(this.#invented, count), count);
    this.#invented = Math.max(0, this.#invented - count);
    this.#pending = this.#pending.subarray(count);
    return bytes;
  }
}

/**
 * Where the next delimiter begins, or may begin once more has come.
 * @returns `isWhole`: whether it is there, with the two bytes that tell it from a line that only begins like one
 */
function find(pending: Buffer, delimiter: Buffer): { readonly at: number; readonly isWhole: boolean } {
  for (let from = 0; ;) {
    const at = pending.indexOf(delimiter, from);
    if (at === -1) return { at: Math.max(from, pending.length - delimiter.length + 1), isWhole: false };
    const after = pending.toString('latin1', at + delimiter.length, at + delimiter.length + 2);
    if (after.length < 2) return { at, isWhole: false };
    if (after === '--' || /^[ \t\r]/.test(after)) return { at, isWhole: true };
    from = at + 1;
  }
}

function kindOf(head: string): 'model' | 'file' | 'other' {
  const disposition = /^content-disposition:(.*)$/im.exec(head)?.[1] ?? '';
  if (/;\s*filename\*?=/i.test(disposition)) return 'file';
  return /;\s*name=(?:"model"|model)\s*(?:;|$)/i.test(disposition) ? 'model' : 'other';
}

/** A form on its way to a model server: read until its model is known, then passed on with the name that the server knows. */
import { ApiError, bodyTooLarge } from '../../errors.ts';
import { boundaryOf, readForm, type FormPiece } from './form.ts';

/** How the length of a form changes. */
interface Renaming {
  /** The model that the path names; null where it names none. */
  readonly imposed: string | null;
  /** The model that was found so far; null where there is none. */
  readonly found: string | null;
  readonly to: { readonly renames: boolean; readonly nameOf: (model: string) => string };
}

export class FormBody {
  readonly #boundary: string;
  readonly #pieces: AsyncGenerator<FormPiece, void>;
  readonly #hold: (bytes: number) => void;
  /** What was read while the model was looked for. */
  readonly #held: FormPiece[] = [];

  /**
   * @param hold counts bytes that are held here, or refuses them
   * @throws {ApiError} 400 for a content type without a boundary.
   */
  constructor(chunks: AsyncIterable<Buffer>, contentType: string, hold: (bytes: number) => void) {
    this.#boundary = boundaryOf(contentType);
    this.#pieces = readForm(chunks, this.#boundary);
    this.#hold = hold;
  }

  /**
   * Reads until the model is known; null where there is none before the end, or before a file that need not be held.
   * @param holdsFiles whether files are held as well until the model is known
   * @param limitBytes how much may be held
   * @throws {ApiError} 413 when the model comes too late, or the fields before the file are too large.
   */
  async findModel(holdsFiles: boolean, limitBytes: number): Promise<string | null> {
    let size = 0;
    for (;;) {
      const { done, value: piece } = await this.#pieces.next();
      if (done === true) return null;
      this.#held.push(piece);
      size += piece.bytes.length;
      if (piece.type === 'model') return piece.value;
      if (piece.type === 'end' || (piece.type === 'file' && !holdsFiles)) return null;
      if (size > limitBytes) throw holdsFiles ? tooLate(limitBytes) : bodyTooLarge(limitBytes);
      this.#hold(piece.bytes.length);
    }
  }

  /** How long the form will be; null where that depends on what is still to come. */
  lengthRenamed(declared: number, { imposed, found, to }: Renaming): number | null {
    if (found === null) return imposed === null && !to.renames ? declared : null;
    const name = to.nameOf(imposed ?? found);
    // A name that stays is sent as it came, and its bytes need not be good UTF-8.
    return name === found ? declared : declared + Buffer.byteLength(name) - this.#foundBytes;
  }

  /**
   * The whole form, with another name for its first model.
   * @param added a model for a form that has none; null to leave it so
   */
  async *renamed(
    rename: (model: string) => Promise<string>,
    added: string | null,
  ): AsyncGenerator<Buffer, void> {
    let isNamed = false;
    for await (const piece of this.#all()) {
      if (piece.type === 'model' && !isNamed) {
        isNamed = true;
        const name = await rename(piece.value);
        yield name === piece.value ? piece.bytes : Buffer.from(name);
        continue;
      }
      if (piece.type === 'end' && !isNamed && added !== null) yield this.#field('model', added);
      if (piece.bytes.length > 0) yield piece.bytes;
    }
  }

  async *#all(): AsyncGenerator<FormPiece, void> {
    for (let piece = this.#held.shift(); piece !== undefined; piece = this.#held.shift()) yield piece;
    yield* this.#pieces;
  }

  get #foundBytes(): number {
    return this.#held.find(({ type }) => type === 'model')?.bytes.length ?? 0;
  }

  #field(name: string, value: string): Buffer {
    return Buffer.from(
      `\r\n--${this.#boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}`,
    );
  }
}

function tooLate(limitBytes: number): ApiError {
  const text = `The field 'model' must come before the file, or the file must have less than ${limitBytes} bytes: several model servers are behind this one, and the model decides which of them gets the file.`;
  return new ApiError(413, text, { param: 'model', code: 'request_too_large' });
}

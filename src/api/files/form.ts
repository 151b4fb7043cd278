/**
 * A multipart form with one file, read as it comes: the bytes of the file go on to whoever takes them, and only fields and heads
 * are held. Parts may come in any order. https://www.rfc-editor.org/rfc/rfc7578
 */
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Busboy, type BusboyInstance } from '@fastify/busboy';
import { ApiError, echo } from '../../errors.ts';

/** Fields are a purpose and when the file expires; more than these are a mistake. */
const LIMITS = {
  files: 1,
  fields: 16,
  fieldSize: 4 * 1024,
  parts: 20,
  headerPairs: 64,
  headerSize: 16 * 1024,
};
const MAX_BOUNDARY_LENGTH = 200;
const BOUNDARY = /;\s*boundary=(?:"([^"]+)"|([^\s;"]+))/i;
const FORM = /^\s*multipart\/form-data\b/i;

export interface FormFile {
  /** As the client sent it. */
  readonly name: string;
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface FormReading<T> {
  /** The name of the part that is the file. */
  readonly file: string;
  /** Hears of each field at once; what it throws ends the reading. */
  readonly onField: (name: string, value: string) => void;
  /** Reads the file. */
  readonly take: (file: FormFile) => Promise<T>;
}

export function isFileForm(contentType: string): boolean {
  return FORM.test(contentType);
}

/**
 * Reads the form to its end.
 * @returns what was made of the file; null where there was none
 * @throws {ApiError} 400 for what is no form, breaks off, or has more than one file; and whatever `take` and `onField` throw
 */
export async function readFileForm<T>(
  chunks: AsyncIterable<Uint8Array>,
  contentType: string,
  reading: FormReading<T>,
): Promise<T | null> {
  return new FileForm(contentType, reading).read(chunks);
}

/** A form while it is read. The parser and whoever takes the file both end with the first error that there is. */
class FileForm<T> {
  readonly #parser: BusboyInstance;
  readonly #reading: FormReading<T>;
  #file: Readable | null = null;
  #taking: Promise<T> | null = null;
  #failure: Error | null = null;

  constructor(contentType: string, reading: FormReading<T>) {
    const { file } = reading;
    this.#reading = reading;
    this.#parser = open(contentType, file);
    this.#parser.on('field', (name: string | undefined, value, _isNameCut, isCut) =>
      this.#guard(() => this.#field(name, value, isCut)),
    );
    this.#parser.on('file', (name: string | undefined, stream, sentName: string | undefined) => {
      // One that nobody reads any more still says how it ended.
      stream.on('error', () => {});
      this.#guard(() => this.#begin(name, stream, sentName));
      if (this.#failure !== null) stream.resume();
    });
    const refuse = (text: string) => (): void => this.#fail(notAForm(text));
    this.#parser.on('filesLimit', refuse(`It has two files. Send one, as the part '${file}'.`));
    this.#parser.on('fieldsLimit', refuse(`It has more than ${LIMITS.fields} fields.`));
    this.#parser.on('partsLimit', refuse(`It has more than ${LIMITS.parts} parts.`));
  }

  async read(chunks: AsyncIterable<Uint8Array>): Promise<T | null> {
    await pipeline(chunks, this.#parser).catch((error: unknown) =>
      this.#fail(error instanceof ApiError ? error : brokenForm()),
    );
    // Whoever takes the file is to have ended before the caller hears of a failure.
    const [taken] = await Promise.allSettled([this.#taking]);
    if (this.#failure !== null) throw this.#failure;
    return taken.status === 'fulfilled' ? taken.value : null;
  }

  #field(name: string | undefined, value: string, isCut: boolean): void {
    if (name === undefined) throw notAForm('A part has no name.');
    if (isCut) throw notAForm(`The field '${echo(name)}' is too long.`);
    this.#reading.onField(name, value);
  }

  #begin(name: string | undefined, stream: Readable, sentName = ''): void {
    const { file, take } = this.#reading;
    if (name !== file) throw notAForm(`Its file must be the part '${file}'.`);
    this.#file = stream;
    // The one character that clients have to write otherwise in a name: https://html.spec.whatwg.org/#multipart-form-data
    this.#taking = take({ name: sentName.replaceAll('%22', '"'), chunks: whole(stream) });
    this.#taking.catch((error: unknown) => this.#fail(error));
  }

  #guard(listener: () => void): void {
    try {
      if (this.#failure === null) listener();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error('a form could not be read');
    this.#file?.destroy(this.#failure);
    this.#parser.destroy(this.#failure);
  }
}

function open(contentType: string, fileField: string): BusboyInstance {
  const [, quoted, plain] = BOUNDARY.exec(contentType) ?? [];
  const boundary = quoted ?? plain ?? '';
  if (boundary === '' || boundary.length > MAX_BOUNDARY_LENGTH)
    throw notAForm(
      "Its content type needs a 'boundary'; HTTP libraries set it when they are left to write that header.",
    );
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      limits: LIMITS,
      isPartAFile: (name, _type, sentName) => name === fileField || sentName !== undefined,
    });
  } catch {
    throw notAForm('Its content type cannot be read.');
  }
}

/** The file's bytes. Where they end too early, that is the form's fault and not that of whoever takes them. */
async function* whole(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  try {
    yield* stream;
  } catch (error) {
    throw error instanceof ApiError ? error : brokenForm();
  }
}

const brokenForm = (): ApiError => notAForm('It breaks off, or is no form.');

function notAForm(detail: string): ApiError {
  return new ApiError(400, `We could not read the multipart form in your request. ${detail}`);
}

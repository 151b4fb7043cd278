/** The parts of a packed document, unpacked piece by piece within a limit for all of them. */
import { openPromise, type Entry, type ZipFile } from 'yauzl';
import { damaged, DocumentRefusal, encrypted, MAX_UNPACKED_BYTES } from './refusal.ts';

/** Documents have some hundreds. */
const MAX_PARTS = 20_000;

export class PackedParts {
  readonly #zip: ZipFile;
  readonly #parts: ReadonlyMap<string, Entry>;
  #unpackedBytes = 0;

  private constructor(zip: ZipFile, parts: ReadonlyMap<string, Entry>) {
    this.#zip = zip;
    this.#parts = parts;
  }

  /** @throws {DocumentRefusal} for what is no archive, or has too many parts. */
  static async open(path: string): Promise<PackedParts> {
    const zip = await openPromise(path, { lazyEntries: true, autoClose: false });
    const parts = new Map<string, Entry>();
    for await (const entry of zip.eachEntry()) {
      if (parts.size === MAX_PARTS)
        throw new DocumentRefusal('invalid_file', `has more than ${MAX_PARTS} parts.`);
      if (!parts.has(entry.fileName)) parts.set(entry.fileName, entry);
    }
    return new PackedParts(zip, parts);
  }

  get names(): readonly string[] {
    return [...this.#parts.keys()];
  }

  /**
   * The text of a part, as it is unpacked; nothing where there is no such part.
   * @throws {DocumentRefusal} when all parts together are too large, or this one is encrypted or damaged.
   */
  async *text(name: string): AsyncGenerator<string, void> {
    const entry = this.#parts.get(name);
    if (entry === undefined) return;
    if (entry.isEncrypted()) throw encrypted();
    if (!entry.canDecodeFileData()) throw damaged('it is packed in an unknown way');
    const decoder = new TextDecoder();
    const stream: AsyncIterable<Buffer> = await this.#zip.openReadStreamPromise(entry);
    for await (const piece of stream) {
      this.#unpackedBytes += piece.length;
      if (this.#unpackedBytes > MAX_UNPACKED_BYTES) {
        throw new DocumentRefusal(
          'invalid_file',
          `holds more than ${MAX_UNPACKED_BYTES / 1_048_576} MB when it is unpacked. Divide it into several files.`,
        );
      }
      yield decoder.decode(piece, { stream: true });
    }
    yield decoder.decode();
  }

  close(): void {
    this.#zip.close();
  }
}

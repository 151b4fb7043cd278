/** The keys of files and uploads; the others are in keys.ts. All that is decided about a project's files lies in one slot. */
import type { CollectionKeys } from './keys.ts';

export class FileKeys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The files of a project. Their bytes lie in the vault. */
  list(project: string): CollectionKeys {
    const base = this.#base(project);
    return { docs: base, index: `${base}:index`, gone: `${base}:gone` };
  }

  /** Sorted set: the files of one purpose, as in the index of {@link list}. */
  listFor(project: string, purpose: string): string {
    return `${this.#base(project)}:for:${purpose}`;
  }

  /** Counter: bytes of a project's files and of the parts of its open uploads. */
  bytes(project: string): string {
    return `${this.#base(project)}:bytes`;
  }

  /** Hash: documents of a project's uploads. The sweeper deletes them when their time is over. */
  uploads(project: string): string {
    return `${this.#base(project)}:uploads`;
  }

  /** Hash: id → bytes of the parts of an open upload. Deleted with the upload's end. */
  parts(project: string, uploadId: string): string {
    return `${this.uploads(project)}:${uploadId}`;
  }

  /** Sorted set: members `project/id` of files that expire and of uploads, by when to end them (unix ms). */
  get ends(): string {
    return `${this.#prefix}:files:ends`;
  }

  /** Sorted set: hosts of processes that keep files in a folder, by when they last said so (unix ms). Trimmed by them. */
  get hosts(): string {
    return `${this.#prefix}:files:hosts`;
  }

  /** String with expiry, empty: there while nobody need look for bytes that belong to nothing. */
  get looked(): string {
    return `${this.#prefix}:files:looked`;
  }

  #base(project: string): string {
    return `${this.#prefix}:{${project}/files}`;
  }
}

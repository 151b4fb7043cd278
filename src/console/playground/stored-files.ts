/** Files of the service as the page shows them: their names, and pictures as object URLs, which end with the page. */
import type { App } from '../app.ts';
import type { StoredFile } from '../wire.ts';

export class StoredFiles {
  /** Grows with everything that has come. */
  version = 0;
  readonly #app: App;
  readonly #aborter = new AbortController();
  /** What was asked for; null until it has come, or where it cannot be had. */
  readonly #files = new Map<string, StoredFile | null>();
  readonly #pictures = new Map<string, string | null>();

  constructor(app: App) {
    this.#app = app;
  }

  /** The name of a file, or its id until that is known. */
  name(id: string): string {
    if (!this.#files.has(id)) {
      this.#files.set(id, null);
      void this.#load(this.#files, id, async (signal) =>
        this.#app.api.get<StoredFile>(`/files/${id}`, {}, signal),
      );
    }
    return nameOf(this.#files.get(id)?.filename ?? id);
  }

  /** The address of a picture; null until it has come. */
  picture(id: string): string | null {
    if (!this.#pictures.has(id)) {
      this.#pictures.set(id, null);
      void this.#load(this.#pictures, id, async (signal) =>
        URL.createObjectURL(await this.#app.api.blob(`/files/${id}/content`, signal)),
      );
    }
    return this.#pictures.get(id) ?? null;
  }

  /** Knows a file that was just uploaded. */
  know(file: StoredFile): void {
    this.#files.set(file.id, file);
  }

  /** Saves a file on the reader's machine. */
  async download(id: string): Promise<void> {
    const blob = await this.#app.attempt(this.#app.api.blob(`/files/${id}/content`, this.#aborter.signal));
    if (blob === undefined) return;
    const address = URL.createObjectURL(blob);
    const anchor = document.createElement('a');
    anchor.href = address;
    anchor.download = this.name(id).split('/').at(-1) ?? id;
    anchor.click();
    URL.revokeObjectURL(address);
  }

  close(): void {
    this.#aborter.abort();
    for (const address of this.#pictures.values()) if (address !== null) URL.revokeObjectURL(address);
    this.#pictures.clear();
  }

  async #load<T>(
    known: Map<string, T | null>,
    id: string,
    load: (signal: AbortSignal) => Promise<T>,
  ): Promise<void> {
    try {
      const value = await load(this.#aborter.signal);
      if (this.#aborter.signal.aborted) return;
      known.set(id, value);
      this.version += 1;
      this.#app.redraw();
    } catch {
      // It stays what it is without: an id, or no picture.
    }
  }
}

const DIRECTIONS = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A name without the characters that turn the direction of text around: they make `exe.png` of a program. */
export function nameOf(name: string): string {
  return name.replace(DIRECTIONS, '�');
}

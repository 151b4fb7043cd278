/**
 * Pictures that are files, for prompts: the model is shown their bytes, as if the message had brought them. They count in the
 * bytes of the prompt, the newest first; older ones that have no room are left out, and those of deleted files are told.
 */
import { MAX_PICTURE_BYTES, pictureType, type FileObject } from '../runs/file.ts';
import type { ContentPart, Message, ThreadItem } from '../runs/thread.ts';
import type { Files } from '../store/files.ts';
import { HistoryTooLarge, type ReadHistory } from '../store/history.ts';
import type { RunRef } from '../store/keys.ts';
import { vaultKey, type Vault } from '../vault/vault.ts';

/** The files that the messages of a history show. */
export interface PictureFiles {
  /** By id, without those that are gone. */
  readonly files: ReadonlyMap<string, FileObject>;
  /** What showing all of them adds to the prompt. */
  readonly bytes: number;
}

export class Pictures {
  readonly #files: Files;
  readonly #vault: Vault;

  constructor(files: Files, vault: Vault) {
    this.#files = files;
    this.#vault = vault;
  }

  /** The pictures that are to be shown; null where there are none, as in nearly all threads. */
  async find({ project }: RunRef, items: readonly ThreadItem[]): Promise<PictureFiles | null> {
    const ids = new Set(items.flatMap(filesShown));
    if (ids.size === 0) return null;
    const files = new Map<string, FileObject>();
    let bytes = 0;
    for (const id of ids) {
      const file = await this.#files.get(project, id);
      if (file === null || file.bytes > MAX_PICTURE_BYTES) continue;
      files.set(id, file);
      bytes += urlBytes(file);
    }
    return { files, bytes };
  }

  /**
   * The history with its pictures in place of their files.
   * @param maxBytes of the whole prompt
   * @throws {HistoryTooLarge} when the question's own pictures do not fit.
   */
  async show(
    ref: RunRef,
    history: ReadHistory,
    { files }: PictureFiles,
    maxBytes: number,
  ): Promise<ReadHistory> {
    const question = history.items.findLast((item) => isOfUser(item));
    const urls = new Map<string, string | null>();
    let { bytes } = history;
    // The newest first: where there is no room for one, older ones are left out as well.
    for (const item of history.items.toReversed()) {
      for (const id of filesShown(item)) {
        const file = files.get(id);
        if (file === undefined || urls.has(id)) continue;
        if (bytes + urlBytes(file) > maxBytes) {
          if (item === question) throw new HistoryTooLarge(ref, maxBytes);
          urls.set(id, null);
          bytes = maxBytes;
          continue;
        }
        const url = await this.#read(ref, id);
        if (url === null) continue;
        urls.set(id, url);
        bytes += url.length;
      }
    }
    const items = history.items.map((item) => (isOfUser(item) ? shown(item, urls) : item));
    return { ...history, items, bytes };
  }

  async #read({ project }: RunRef, id: string): Promise<string | null> {
    const chunks = await this.#vault.get(vaultKey(project, id));
    if (chunks === null) return null;
    const bytes = Buffer.concat(await Array.fromAsync(chunks));
    const type = pictureType(bytes);
    return type === null ? null : `data:${type};base64,${bytes.toString('base64')}`;
  }
}

function isOfUser(item: ThreadItem): item is Message {
  return item.object === 'thread.message' && item.role === 'user';
}

function filesShown(item: ThreadItem): readonly string[] {
  if (!isOfUser(item)) return [];
  return item.content.flatMap((part) => (part.type === 'image_file' ? [part.image_file.file_id] : []));
}

/** @param urls by id: null for those left out; those that are missing are gone */
function shown(message: Message, urls: ReadonlyMap<string, string | null>): Message {
  if (!message.content.some((part) => part.type === 'image_file')) return message;
  const content = message.content.map((part): ContentPart => {
    if (part.type !== 'image_file') return part;
    const { file_id: id, detail } = part.image_file;
    const url = urls.get(id);
    if (url === undefined) return told(`[The picture ${id} was deleted.]`);
    if (url === null) return told('[An earlier picture was left out.]');
    return { type: 'image_url', image_url: { url, detail: detail ?? 'auto' } };
  });
  return { ...message, content };
}

const told = (value: string): ContentPart => ({ type: 'text', text: { value, annotations: [] } });

/** What a picture has as a data URL, at the most. */
function urlBytes({ bytes }: FileObject): number {
  return Math.ceil(bytes / 3) * 4 + 'data:image/jpeg;base64,'.length;
}

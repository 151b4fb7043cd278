/**
 * Files: their documents, by project and purpose, and how many bytes a project has. The bytes themselves lie in the vault, under
 * the ids of their files.
 */
import type { FileObject, FilePurpose } from '../runs/file.ts';
import { placeAt, type Collections, type ListPage, type PageQuery } from './collection.ts';
import { decodeObject } from './json.ts';
import { isSafeId, type RedisKeys } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** How many deleted files stay known as cursors. */
const REMEMBERED_GONE = 1_000;

/** A file or an upload of a project. */
export interface FileRef {
  readonly project: string;
  readonly id: string;
}

export interface FilesOptions {
  readonly collections: Collections;
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  /** Unix milliseconds, the same for every process. */
  readonly nowMs: () => number;
}

export class Files {
  readonly #options: FilesOptions;

  constructor(options: FilesOptions) {
    this.#options = options;
  }

  /**
   * Keeps a file whose bytes are there.
   * @param mostBytes what the files of the project may have together; 0 is any number
   * @returns whether there was room
   */
  async add(project: string, file: FileObject, mostBytes: number): Promise<boolean> {
    return this.#put(project, file, mostBytes, this.#options.collections.nextPlace());
  }

  /** As {@link add}, for a file that was made elsewhere: its place is by its time. One that is there already stays as it is. */
  async takeIn(project: string, file: FileObject, mostBytes: number): Promise<boolean> {
    return this.#put(project, file, mostBytes, placeAt(file.created_at * 1_000));
  }

  async #put(project: string, file: FileObject, mostBytes: number, place: number): Promise<boolean> {
    const { redis, keys } = this.#options;
    await this.endAt({ project, id: file.id }, file.expires_at);
    const { docs, index } = keys.files.list(project);
    const names = [docs, index, keys.files.listFor(project, file.purpose), keys.files.bytes(project)];
    const doc = JSON.stringify(file);
    const most = mostBytes === 0 ? '' : mostBytes;
    return (await redis.file(names.length, ...names, file.id, doc, place, file.bytes, most)) === 1;
  }

  /** A file that has not expired. */
  async get(project: string, id: string): Promise<FileObject | null> {
    const { collections, keys } = this.#options;
    const file = await collections.get<FileObject>(keys.files.list(project).docs, id, `file ${id}`);
    return file === null || this.#isOver(file) ? null : file;
  }

  /** Deletes a file; its bytes are the caller's to drop. @returns whether there was one that had not expired */
  async delete(project: string, id: string): Promise<boolean> {
    const { collections, redis, keys } = this.#options;
    const { docs, index, gone } = keys.files.list(project);
    const file = await collections.get<FileObject>(docs, id, `file ${id}`);
    if (file === null) return false;
    const names = [docs, index, gone, keys.files.listFor(project, file.purpose), keys.files.bytes(project)];
    const answer = await redis.unfile(names.length, ...names, id, REMEMBERED_GONE, file.bytes);
    if (file.expires_at !== null) await this.forgetEnd({ project, id });
    return answer !== 0 && !this.#isOver(file);
  }

  /** @param purpose null for the files of all purposes */
  async list(project: string, purpose: FilePurpose | null, query: PageQuery): Promise<ListPage<FileObject>> {
    const { collections, keys } = this.#options;
    const own = keys.files.list(project);
    const index = purpose === null ? own.index : keys.files.listFor(project, purpose);
    const page = await collections.page({ ...own, index }, query, {
      parse: ({ doc, id }) => decodeObject<FileObject>(doc, `file ${id}`),
    });
    if (page.type !== 'page') return page;
    return { ...page, items: page.items.filter((file) => !this.#isOver(file)) };
  }

  /** How many bytes the project has, open uploads included. */
  async bytes(project: string): Promise<number> {
    const { redis, keys } = this.#options;
    return Number(await redis.get(keys.files.bytes(project)));
  }

  /** Which of these ids name files that are there, expired or not. */
  async known(project: string, ids: readonly string[]): Promise<ReadonlySet<string>> {
    const { redis, keys } = this.#options;
    const docs = await redis.hmget(keys.files.list(project).docs, ...ids);
    return new Set(ids.filter((_, index) => docs[index] != null));
  }

  /** Files and uploads whose time is over, at most so many. */
  async due(most: number): Promise<readonly FileRef[]> {
    const { redis, keys, nowMs } = this.#options;
    const members = await redis.zrangebyscore(keys.files.ends, '-inf', nowMs(), 'LIMIT', 0, most);
    return members.map(refOf);
  }

  /** Says when a file or upload ends (unix seconds); null for never. Said before it is there, so that none stays for ever. */
  async endAt(ref: FileRef, at: number | null): Promise<void> {
    const { redis, keys } = this.#options;
    if (at !== null) await redis.zadd(keys.files.ends, at * 1_000, memberOf(ref));
  }

  async forgetEnd(ref: FileRef): Promise<void> {
    const { redis, keys } = this.#options;
    await redis.zrem(keys.files.ends, memberOf(ref));
  }

  /** Whether it is time to look for bytes without a file; for this one process, and for the others not before `everyMs`. */
  async isTimeToLook(everyMs: number): Promise<boolean> {
    const { redis, keys } = this.#options;
    return (await redis.set(keys.files.looked, '', 'PX', everyMs, 'NX')) !== null;
  }

  #isOver({ expires_at: at }: FileObject): boolean {
    return at !== null && at * 1_000 <= this.#options.nowMs();
  }
}

const memberOf = ({ project, id }: FileRef): string => `${project}/${id}`;

/** What names nothing that can be there finds nothing, and is forgotten as if it had been. */
function refOf(member: string): FileRef {
  const cut = member.lastIndexOf('/');
  const ref = { project: member.slice(0, Math.max(cut, 0)), id: member.slice(cut + 1) };
  return isSafeId(ref.id) ? ref : { project: '', id: '' };
}

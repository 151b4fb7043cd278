/**
 * Uploads: files that come in parts. An upload is open for an hour; then the sweeper ends it. The bytes of the parts lie in the
 * vault, under the ids of the parts.
 */
import type { FileObject, Upload } from '../runs/file.ts';
import type { Collections } from './collection.ts';
import type { FileRef, Files } from './files.ts';
import { decodeObject } from './json.ts';
import type { RedisKeys } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** How long an upload that has ended is remembered, so that whoever asks again is told how it ended. */
const REMEMBERED_S = 24 * 60 * 60;

/** An upload as it is kept: with how long its file will be there, in seconds, where that was said. */
export interface OpenUpload extends Upload {
  readonly expires_after_s?: number;
}

/** How an upload may end. */
export type UploadEnd = Exclude<Upload['status'], 'pending'>;

/** What became of a part; anything but `kept` leaves its bytes to be dropped. */
export type PartFate = 'kept' | 'not open' | 'upload full' | 'project full';

export interface UploadsOptions {
  readonly collections: Collections;
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  readonly files: Files;
  readonly nowMs: () => number;
}

export class Uploads {
  readonly #options: UploadsOptions;

  constructor(options: UploadsOptions) {
    this.#options = options;
  }

  async create(project: string, upload: Upload, expiresAfterS: number | null): Promise<void> {
    const { redis, keys, files } = this.#options;
    await files.endAt({ project, id: upload.id }, upload.expires_at);
    const kept: OpenUpload = { ...upload, ...(expiresAfterS !== null && { expires_after_s: expiresAfterS }) };
    await redis.hsetnx(keys.files.uploads(project), upload.id, JSON.stringify(kept));
  }

  /** An upload as it is now: one whose time is over has expired, whether or not anybody has noticed yet. */
  async get(project: string, id: string): Promise<OpenUpload | null> {
    const { collections, keys, nowMs } = this.#options;
    const upload = await collections.get<OpenUpload>(keys.files.uploads(project), id, `upload ${id}`);
    if (upload?.status !== 'pending' || upload.expires_at * 1_000 > nowMs()) return upload;
    return { ...upload, status: 'expired' };
  }

  /** The bytes of each part, by its id. */
  async parts(project: string, id: string): Promise<ReadonlyMap<string, number>> {
    const { redis, keys } = this.#options;
    const parts = await redis.hgetall(keys.files.parts(project, id));
    return new Map(Object.entries(parts).map(([part, bytes]) => [part, Number(bytes)]));
  }

  /**
   * Keeps a part whose bytes are there.
   * @param most bytes that all parts of the upload may have, and all of the project; 0 is any number
   */
  async addPart(
    { project, id }: FileRef,
    part: { readonly id: string; readonly bytes: number },
    most: { readonly uploadBytes: number; readonly projectBytes: number },
  ): Promise<PartFate> {
    const { redis, keys } = this.#options;
    const names = [keys.files.uploads(project), keys.files.parts(project, id), keys.files.bytes(project)];
    const limits = [most.uploadBytes, most.projectBytes === 0 ? '' : most.projectBytes];
    const answer = await redis.part(names.length, ...names, id, part.id, part.bytes, ...limits);
    return FATES.get(answer) ?? 'not open';
  }

  /**
   * Ends an upload that is open.
   * @param file what it has become; null where it was given up
   * @returns the upload as it is now, however it was ended; null where there is none
   */
  async end(
    project: string,
    { expires_after_s: _over, ...upload }: OpenUpload,
    status: UploadEnd,
    file: FileObject | null,
  ): Promise<Upload | null> {
    const { collections, redis, keys, files } = this.#options;
    if (file !== null) await files.endAt({ project, id: file.id }, file.expires_at);
    const { docs, index } = keys.files.list(project);
    const names = [
      keys.files.uploads(project),
      keys.files.parts(project, upload.id),
      keys.files.bytes(project),
      docs,
      index,
      keys.files.listFor(project, upload.purpose),
    ];
    const ended: Upload = { ...upload, status, file };
    const made = [
      file?.id ?? '',
      file === null ? '' : JSON.stringify(file),
      collections.nextPlace(),
      file?.bytes ?? 0,
    ];
    const doc = String(
      await redis.endupload(names.length, ...names, upload.id, JSON.stringify(ended), ...made),
    );
    return doc === '' ? null : decodeObject<Upload>(doc, `upload ${upload.id}`);
  }

  /**
   * Does what an upload's time asks for: ends it where it is open, and forgets it where it has ended. Asked again, it goes on.
   * @param drop drops the bytes of a part
   */
  async retire({ project, id }: FileRef, drop: (partId: string) => Promise<void>): Promise<void> {
    const { collections, redis, keys, files, nowMs } = this.#options;
    const upload = await collections.get<Upload>(keys.files.uploads(project), id, `upload ${id}`);
    if (upload?.status === 'pending') {
      // Their bytes go first: where this breaks off, the next sweep still finds them.
      for (const part of (await this.parts(project, id)).keys()) await drop(part);
      await this.end(project, upload, 'expired', null);
      await files.endAt({ project, id }, Math.ceil(nowMs() / 1_000) + REMEMBERED_S);
      return;
    }
    await redis.hdel(keys.files.uploads(project), id);
    await files.forgetEnd({ project, id });
  }
}

const FATES: ReadonlyMap<unknown, PartFate> = new Map<unknown, PartFate>([
  [1, 'kept'],
  [0, 'not open'],
  [-1, 'upload full'],
  [-2, 'project full'],
]);

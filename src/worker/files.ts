/**
 * Looks after files: ends those whose time is over, and drops bytes that belong to nothing, which uploads leave that broke off. It
 * works beside the sweep, which waits for none of it: a bucket may be slow.
 */
import type { Logger } from '../log.ts';
import { isUnavailable } from '../store/away.ts';
import type { FileRef, Files } from '../store/files.ts';
import type { Uploads } from '../store/uploads.ts';
import { namedBy, vaultKey, type StoredKey, type Vault } from '../vault/vault.ts';
import { Care } from './care.ts';

/** Files that are ended in one go; the next sweep goes on. */
const BATCH = 100;
/** Keys whose files are looked for together. */
const LOOK_BATCH = 500;
const LOOK_EVERY_MS = 60 * 60 * 1000;
/** Bytes come before their file: until it is there, and until an unfinished upload has surely ended, they are left alone. */
const ORPHAN_MS = 60 * 60 * 1000;
/** Parts belong to uploads, which are open for an hour; one that is being completed is read a while longer. */
const PART_MS = 3 * 60 * 60 * 1000;

export interface FileCareOptions {
  readonly vault: Vault;
  readonly files: Files;
  readonly uploads: Uploads;
  /** A file is gone: takes it out of what was made of it. */
  readonly onEnded: (ref: FileRef) => Promise<void>;
  readonly nowMs: () => number;
  readonly log: Logger;
}

export class FileCare extends Care {
  readonly #options: FileCareOptions;

  constructor(options: FileCareOptions) {
    super();
    this.#options = options;
  }

  protected async care(): Promise<void> {
    const { files, log } = this.#options;
    try {
      for (const ref of await files.due(BATCH)) {
        if (this.isStopped) return;
        await this.#end(ref);
      }
      if (!this.isStopped && (await files.isTimeToLook(LOOK_EVERY_MS))) await this.#dropOrphans();
    } catch (err) {
      const level = isUnavailable(err) ? 'debug' : 'error';
      log[level]({ err }, 'could not look after files; the next sweep tries again');
    }
  }

  /** The document goes first, then the bytes, and last what reminds of both. */
  async #end(ref: FileRef): Promise<void> {
    const { vault, files, uploads } = this.#options;
    if (ref.id.startsWith('upload_')) {
      await uploads.retire(ref, (part) => vault.drop(vaultKey(ref.project, part)));
      return;
    }
    await files.delete(ref.project, ref.id);
    await this.#options.onEnded(ref);
    if (namedBy(vaultKey(ref.project, ref.id)) !== null) await vault.drop(vaultKey(ref.project, ref.id));
    await files.forgetEnd(ref);
  }

  async #dropOrphans(): Promise<void> {
    const { vault, nowMs, log } = this.#options;
    await vault.tidy(nowMs() - ORPHAN_MS);
    let dropped = 0;
    let batch: StoredKey[] = [];
    for await (const found of vault.walk()) {
      if (this.isStopped) return;
      if (found.atMs < nowMs() - ORPHAN_MS) batch.push(found);
      if (batch.length < LOOK_BATCH) continue;
      dropped += await this.#dropUnknown(batch);
      batch = [];
    }
    dropped += await this.#dropUnknown(batch);
    log.info({ dropped }, 'looked for bytes that belong to no file');
  }

  async #dropUnknown(batch: readonly StoredKey[]): Promise<number> {
    const { vault, nowMs } = this.#options;
    const known = await this.#knownAmong(batch.map(({ key }) => key));
    const orphans = batch.filter(
      ({ key, atMs }) => !known.has(key) && !(isPart(key) && atMs > nowMs() - PART_MS),
    );
    for (const { key } of orphans) await vault.drop(key);
    return orphans.length;
  }

  async #knownAmong(keys: readonly string[]): Promise<ReadonlySet<string>> {
    const byProject = Map.groupBy(
      keys.flatMap((key) => namedBy(key) ?? []),
      ({ project }) => project,
    );
    const known = new Set<string>();
    for (const [project, named] of byProject) {
      const ids = named.map(({ id }) => id);
      for (const id of await this.#options.files.known(project, ids)) known.add(vaultKey(project, id));
    }
    return known;
  }
}

function isPart(key: string): boolean {
  return namedBy(key)?.id.startsWith('part_') === true;
}

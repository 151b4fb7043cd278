/**
 * Bytes in S3 or what speaks its protocol. Loaded only where it is configured: the client takes most of a second to load. Keys,
 * roles, region and endpoint come from the environment, as the client itself reads them.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  NoSuchKey,
  paginateListObjectsV2,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { namedBy, type ByteRange, type StoredBytes, type StoredKey, type Vault } from './vault.ts';

/** The pieces of an upload, one at a time: the least that all of S3's servers take is 5 MB. */
const PIECE_BYTES = 8 * 1024 * 1024;
/** The most pieces of one object. */
const MAX_PIECES = 10_000;
/** As many as read at a time; a slow reader keeps its connection. */
const MAX_SOCKETS = 512;
/**
 * An unfinished upload says when it began, and not when it last made progress: one of the largest files over a slow line may take
 * hours.
 */
const UNFINISHED_KEPT_MS = 24 * 60 * 60 * 1000;

export interface S3Place {
  readonly bucket: string;
  /** Begins every key: empty, or ending in a slash. */
  readonly prefix: string;
}

export class S3Vault implements Vault {
  /** One piece is filled while another is sent. */
  readonly putBytes = 2 * PIECE_BYTES;
  readonly #client: S3Client;
  readonly #place: S3Place;

  constructor(place: S3Place, config: Pick<S3ClientConfig, 'forcePathStyle' | 'region'>) {
    this.#client = new S3Client({
      ...config,
      requestHandler: { httpAgent: { maxSockets: MAX_SOCKETS }, httpsAgent: { maxSockets: MAX_SOCKETS } },
    });
    this.#place = place;
  }

  /** Asks for one key. @throws what the server says where it does not let us in. */
  async prepare(): Promise<void> {
    const pages = paginateListObjectsV2({ client: this.#client, pageSize: 1 }, this.#listed);
    await pages[Symbol.asyncIterator]().next();
  }

  async put(key: string, chunks: AsyncIterable<Uint8Array>): Promise<StoredBytes> {
    const md5 = createHash('md5');
    let bytes = 0;
    async function* counted(): AsyncGenerator<Uint8Array, void> {
      for await (const chunk of chunks) {
        md5.update(chunk);
        bytes += chunk.byteLength;
        if (bytes > PIECE_BYTES * MAX_PIECES) throw new Error('more bytes than an object of S3 may have');
        yield chunk;
      }
    }
    const body = Readable.from(counted(), { objectMode: false, highWaterMark: 64 * 1024 });
    const upload = new Upload({
      client: this.#client,
      params: { ...this.#named(key), Body: body },
      partSize: PIECE_BYTES,
      queueSize: 1,
    });
    try {
      await upload.done();
    } catch (error) {
      body.destroy();
      throw error;
    }
    return { bytes, md5: md5.digest('hex') };
  }

  async get(key: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array> | null> {
    const part = range === undefined ? {} : { Range: `bytes=${range.first}-${range.last}` };
    try {
      const { Body: body } = await this.#client.send(new GetObjectCommand({ ...this.#named(key), ...part }));
      if (!(body instanceof Readable)) throw new Error('S3 answered without the bytes');
      return body;
    } catch (error) {
      if (error instanceof NoSuchKey) return null;
      throw error;
    }
  }

  async drop(key: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand(this.#named(key)));
  }

  async *walk(): AsyncGenerator<StoredKey, void> {
    for await (const { Contents: found = [] } of paginateListObjectsV2(
      { client: this.#client },
      this.#listed,
    )) {
      for (const { Key: name = '', LastModified: at } of found) {
        const key = name.slice(this.#place.prefix.length);
        if (at !== undefined && namedBy(key) !== null) yield { key, atMs: at.getTime() };
      }
    }
  }

  async tidy(beforeMs: number): Promise<void> {
    const until = Math.min(beforeMs, Date.now() - UNFINISHED_KEPT_MS);
    for (let more: object | null = {}; more !== null;) {
      const page: ListMultipartUploadsCommandOutput = await this.#client.send(
        new ListMultipartUploadsCommand({ ...this.#listed, ...more }),
      );
      for (const { Key: name = '', UploadId: id, Initiated: at } of page.Uploads ?? []) {
        const isOurs = namedBy(name.slice(this.#place.prefix.length)) !== null;
        if (at === undefined || at.getTime() > until || !isOurs) continue;
        const named = { Bucket: this.#place.bucket, Key: name, UploadId: id };
        await this.#client.send(new AbortMultipartUploadCommand(named));
      }
      const next = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
      more = page.IsTruncated === true ? next : null;
    }
  }

  get #listed() {
    return { Bucket: this.#place.bucket, Prefix: this.#place.prefix };
  }

  #named(key: string) {
    if (namedBy(key) === null) throw new Error('no key of the vault');
    return { Bucket: this.#place.bucket, Key: this.#place.prefix + key };
  }
}

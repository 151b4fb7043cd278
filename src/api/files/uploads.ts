/** `/uploads`: files that come in parts, at once and in any order. */
import { ApiError, echo, notFound } from '../../errors.ts';
import { fileName, type FileObject, type Upload } from '../../runs/file.ts';
import type { OpenUpload, PartFate, UploadEnd } from '../../store/uploads.ts';
import { admitWrite } from '../../turns/trial-writes.ts';
import { vaultKey, type StoredBytes, type Vault } from '../../vault/vault.ts';
import type { Call } from '../http/call.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import { dropped, droppedUnlessKept, reached, receive, type FileSettings } from './receive.ts';
import {
  bytesGone,
  partTooLarge,
  projectFull,
  uploadFull,
  uploadNotOpen,
  wrongChecksum,
  wrongPart,
  wrongTotal,
} from './refusals.ts';
import { completion, newFile, newUpload, nothing } from './shapes.ts';

/** How long an upload takes parts, as at the hosted API. */
const OPEN_S = 60 * 60;
export const MAX_PART_BYTES = 64 * 1024 * 1024;
/** An upload may be larger than a file that comes as a whole: at the hosted API 8 GB in place of 512 MB. */
const UPLOAD_FACTOR = 16;
/** A part that was sent again stays beside the first one, so there is room for all of them twice. */
const SENT_AGAIN_FACTOR = 2;

export function uploadEndpoints(services: Services, settings: FileSettings): readonly Endpoint[] {
  const { objects, now } = services;
  const { uploads } = objects;
  const { vault, maxFileBytes, maxProjectFilesBytes: mostProjectBytes } = settings;
  const newUploadBody = newUpload(maxFileBytes * UPLOAD_FACTOR);
  const find = async (call: Call): Promise<OpenUpload> => {
    const id = call.id('upload_id');
    const upload = await uploads.get(call.project, id);
    if (upload === null) throw notFound('upload', id);
    return upload;
  };
  /** The upload, if it was not ended in any way but the one that is asked for again. */
  const findOpen = async (call: Call, asked: UploadEnd | null): Promise<OpenUpload> => {
    const upload = await find(call);
    if (upload.status === 'pending' || upload.status === asked) return upload;
    throw uploadNotOpen(upload.id, upload.status);
  };
  /** Ends the upload, and drops what is no longer needed of it. */
  const end = async (
    call: Call,
    upload: OpenUpload,
    status: UploadEnd,
    file: FileObject | null,
  ): Promise<Upload> => {
    const parts = await uploads.parts(call.project, upload.id);
    const ended = await uploads.end(call.project, upload, status, file);
    if (ended === null) throw notFound('upload', upload.id);
    if (ended.status !== status) throw uploadNotOpen(ended.id, ended.status);
    for (const id of parts.keys()) await dropped(vault, call, vaultKey(call.project, id));
    return ended;
  };
  return [
    {
      method: 'POST',
      path: '/uploads',
      handle: async (call) => {
        const { filename, bytes, purpose, expires_after } = call.body(newUploadBody);
        if (mostProjectBytes > 0 && (await objects.files.bytes(call.project)) + bytes > mostProjectBytes)
          throw projectFull(mostProjectBytes);
        const at = now();
        const upload: Upload = {
          id: call.newId('upload'),
          object: 'upload',
          bytes,
          created_at: at,
          expires_at: at + OPEN_S,
          filename: fileName(filename),
          purpose,
          status: 'pending',
          file: null,
        };
        await admitWrite(services, call, {});
        await uploads.create(call.project, upload, expires_after?.seconds ?? null);
        return json(upload);
      },
    },
    {
      method: 'POST',
      path: '/uploads/:upload_id/parts',
      handle: async (call) => {
        const upload = await findOpen(call, null);
        const id = call.newId('part');
        const { bytes } = await receive(services, settings, call, id, {
          field: 'data',
          limitBytes: MAX_PART_BYTES,
          tooLarge: partTooLarge,
          onField: (name) => {
            throw new ApiError(400, `Unknown parameter: '${echo(name)}'.`, { code: 'unknown_parameter' });
          },
        });
        return droppedUnlessKept(vault, call, vaultKey(call.project, id), async () => {
          const ref = { project: call.project, id: upload.id };
          const uploadBytes = upload.bytes * SENT_AGAIN_FACTOR;
          const fate = await uploads.addPart(
            ref,
            { id, bytes },
            { uploadBytes, projectBytes: mostProjectBytes },
          );
          if (fate !== 'kept') throw refusalOf(fate, await find(call), mostProjectBytes);
          return json({ id, object: 'upload.part', created_at: now(), upload_id: upload.id });
        });
      },
    },
    {
      method: 'POST',
      path: '/uploads/:upload_id/complete',
      handle: async (call) => {
        const { part_ids: ids, md5 } = call.body(completion);
        const { expires_after_s: expiresAfterS = null, ...upload } = await findOpen(call, 'completed');
        // The answer to the first request was lost.
        if (upload.status === 'completed') return json(upload);
        requireParts(upload, await uploads.parts(call.project, upload.id), ids);
        call.hold(vault.putBytes);
        const id = call.newId('file');
        const key = vaultKey(call.project, id);
        await admitWrite(services, call, { makes: id });
        return droppedUnlessKept(vault, call, key, async () => {
          const { bytes } = requireWhole(upload, await join(vault, call, key, ids), md5 ?? null);
          const { filename, purpose } = upload;
          const file = newFile({ id, bytes, filename, purpose }, expiresAfterS, now());
          const ended = await end(call, upload, 'completed', file);
          // Two requests completed it at once, and the other one was first.
          if (ended.file?.id !== id) await dropped(vault, call, key);
          return json(ended);
        });
      },
    },
    {
      method: 'POST',
      path: '/uploads/:upload_id/cancel',
      handle: async (call) => {
        call.body(nothing);
        const { expires_after_s: _own, ...upload } = await findOpen(call, 'cancelled');
        if (upload.status === 'cancelled') return json(upload);
        return json(await end(call, upload, 'cancelled', null));
      },
    },
  ];
}

function refusalOf(fate: Exclude<PartFate, 'kept'>, upload: Upload, mostProjectBytes: number): ApiError {
  switch (fate) {
    case 'not open':
      return uploadNotOpen(upload.id, upload.status);
    case 'upload full':
      return uploadFull(upload.id, upload.bytes);
    case 'project full':
      return projectFull(mostProjectBytes);
  }
}

/** Before anything is read: every part is there once, and together they have what was announced. */
function requireParts(upload: Upload, parts: ReadonlyMap<string, number>, ids: readonly string[]): void {
  const named = new Set<string>();
  let bytes = 0;
  for (const [index, id] of ids.entries()) {
    const size = parts.get(id);
    const param = `part_ids[${index}]`;
    if (size === undefined) throw wrongPart(param, `upload ${upload.id} has no part of this id`);
    if (named.has(id)) throw wrongPart(param, 'this part is named twice');
    named.add(id);
    bytes += size;
  }
  if (bytes !== upload.bytes) throw wrongTotal(bytes, upload.bytes);
}

/** @param wanted the checksum that the client sent, in hex or base64; null where it sent none */
function requireWhole(upload: Upload, stored: StoredBytes, wanted: string | null): StoredBytes {
  const { bytes, md5 } = stored;
  if (bytes !== upload.bytes) throw wrongTotal(bytes, upload.bytes);
  const isRight =
    wanted === null || wanted.toLowerCase() === md5 || wanted === Buffer.from(md5, 'hex').toString('base64');
  if (!isRight) throw wrongChecksum(md5);
  return stored;
}

async function join(vault: Vault, call: Call, key: string, ids: readonly string[]): Promise<StoredBytes> {
  async function* whole(): AsyncGenerator<Uint8Array, void> {
    for (const id of ids) {
      const chunks = await vault.get(vaultKey(call.project, id));
      // The upload was ended meanwhile, by its time or by another request.
      if (chunks === null) throw bytesGone(id);
      yield* chunks;
    }
  }
  return reached(call, vault.put(key, whole()));
}

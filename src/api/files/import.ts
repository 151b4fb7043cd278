/**
 * `POST /import/files/{id}`: takes in a file that was made elsewhere, with its id and its time. An extension for `npm run import`,
 * beside `POST /import`, which takes in everything that has no bytes.
 */
import { z } from 'zod';
import { ApiError, echo, keyOnTrial } from '../../errors.ts';
import { CLIENT_PURPOSES, fileName, SERVER_PURPOSES, type FileObject } from '../../runs/file.ts';
import { isSafeId } from '../../store/keys.ts';
import { admitWrite } from '../../turns/trial-writes.ts';
import type { Call } from '../http/call.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import { receive, type FileSettings } from './receive.ts';
import { fileTooLarge, projectFull } from './refusals.ts';
import { newFile } from './shapes.ts';

const seconds = z.coerce
  .number()
  .int()
  .min(0)
  .max(2 ** 32);
const fields = z.strictObject({
  purpose: z.enum([...CLIENT_PURPOSES, ...SERVER_PURPOSES]),
  created_at: seconds,
  expires_at: seconds.nullish(),
});

export function importFileEndpoint(services: Services, settings: FileSettings): Endpoint {
  const { objects, now, trial } = services;
  return {
    method: 'POST',
    path: '/import/files/:file_id',
    handle: async (call) => {
      const id = importedId(call);
      // Asks Redis as well: another process may have heard a model answer the key.
      await admitWrite(services, call, { textBytes: 0 });
      if (call.upstreamKey !== null && !trial.knows(call.project)) throw keyOnTrial('project full');
      const there = await objects.files.get(call.project, id);
      if (there !== null) return json(there);
      const given = new Map<string, string>();
      const { name, bytes } = await receive(services, settings, call, id, {
        field: 'file',
        limitBytes: settings.maxFileBytes,
        tooLarge: fileTooLarge,
        onField: (field, value) => void given.set(field, value),
        isShared: true,
      });
      const { purpose, created_at, expires_at = null } = call.fields(fields, Object.fromEntries(given));
      const own = { id, bytes, filename: fileName(name), purpose };
      const file: FileObject = { ...newFile(own, null, created_at), expires_at };
      if (expires_at !== null && expires_at <= now()) throw expired(id);
      if (!(await objects.files.takeIn(call.project, file, settings.maxProjectFilesBytes)))
        throw projectFull(settings.maxProjectFilesBytes);
      return json(file);
    },
  };
}

/** Azure's files have ids of their own kind. */
function importedId(call: Call): string {
  const id = call.part('file_id');
  if (/^(?:file|assistant)[-_]/.test(id) && isSafeId(id)) return id;
  const text = `Invalid 'id': '${echo(id)}' is not an id that begins with 'file-' or 'assistant-'.`;
  throw new ApiError(400, text, { param: 'id', code: 'invalid_value' });
}

function expired(id: string): ApiError {
  return new ApiError(400, `Invalid 'expires_at': ${id} has expired.`, {
    param: 'expires_at',
    code: 'invalid_value',
  });
}

/** `/files`: upload, list, retrieve, read, delete. Bytes come and go as they are, and are never held as a whole. */
import { notFound } from '../../errors.ts';
import { fileName, type FileObject } from '../../runs/file.ts';
import { takeOutEverywhere } from '../../turns/stores.ts';
import { vaultKey } from '../../vault/vault.ts';
import type { Call } from '../http/call.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import { page } from '../http/list.ts';
import type { Services } from '../http/services.ts';
import { content } from './content.ts';
import { dropped, droppedUnlessKept, receive, type FileSettings } from './receive.ts';
import { fileTooLarge, projectFull } from './refusals.ts';
import { clientPurpose, fileFields, fileFilter, fileListQuery, nested, newFile } from './shapes.ts';

export function fileEndpoints(services: Services, settings: FileSettings): readonly Endpoint[] {
  const { objects, now } = services;
  const { vault, maxFileBytes, maxProjectFilesBytes } = settings;
  const find = async (call: Call): Promise<FileObject> => {
    const id = call.id('file_id');
    const file = await objects.files.get(call.project, id);
    if (file === null) throw notFound('file', id);
    return file;
  };
  return [
    {
      method: 'POST',
      path: '/files',
      handle: async (call) => {
        const id = call.newId('file');
        const given = new Map<string, string>();
        const received = await receive(services, settings, call, id, {
          field: 'file',
          limitBytes: maxFileBytes,
          tooLarge: fileTooLarge,
          onField: (name, value) => {
            // Where it comes before the file, the file need not come at all.
            if (name === 'purpose') clientPurpose(value);
            given.set(name, value);
          },
        });
        return droppedUnlessKept(vault, call, vaultKey(call.project, id), async () => {
          const { purpose, expires_after } = call.fields(fileFields, nested(given));
          const { name, bytes } = received;
          const own = { id, bytes, filename: fileName(name), purpose };
          const file = newFile(own, expires_after?.seconds ?? null, now());
          if (await objects.files.add(call.project, file, maxProjectFilesBytes)) return json(file);
          throw projectFull(maxProjectFilesBytes);
        });
      },
    },
    {
      method: 'GET',
      path: '/files',
      handle: (call) => {
        const { purpose = null } = call.query(fileFilter);
        return page(call, (query) => objects.files.list(call.project, purpose, query), fileListQuery);
      },
    },
    { method: 'GET', path: '/files/:file_id', handle: async (call) => json(await find(call)) },
    {
      method: 'GET',
      path: '/files/:file_id/content',
      handle: async (call) => content(settings, call, await find(call)),
    },
    {
      method: 'DELETE',
      path: '/files/:file_id',
      handle: async (call) => {
        const id = call.id('file_id');
        const wasThere = await objects.files.delete(call.project, id);
        if (!wasThere) throw notFound('file', id);
        await takeOutEverywhere(services, call.project, id);
        await dropped(vault, call, vaultKey(call.project, id));
        return json({ id, object: 'file', deleted: true });
      },
    },
  ];
}

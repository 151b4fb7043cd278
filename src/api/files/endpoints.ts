/** Everything about files, for app.ts: `/files`, `/uploads` and files that are imported, and which of their requests have a body that is not held. */
import type { Request } from 'express';
import type { Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import { fileEndpoints } from './files.ts';
import { isFileForm } from './form.ts';
import { importFileEndpoint } from './import.ts';
import { FORM_BYTES, type FileSettings } from './receive.ts';
import { MAX_PART_BYTES, uploadEndpoints } from './uploads.ts';

export type { FileSettings };

const PATH = /^\/(?:files|import\/files\/[^/]+|uploads\/[^/]+\/parts)\/?$/i;

export function filesApi(services: Services, settings: FileSettings): readonly Endpoint[] {
  return [
    ...fileEndpoints(services, settings),
    ...uploadEndpoints(services, settings),
    importFileEndpoint(services, settings),
  ];
}

/** Whether a request brings a file, whose bytes go on as they come. */
export function bringsFile(request: Request): boolean {
  return PATH.test(request.path) && isFileForm(request.get('content-type') ?? '');
}

/** The largest body that may come with a file. */
export function largestFileBody({ maxFileBytes }: Pick<FileSettings, 'maxFileBytes'>): number {
  return Math.max(maxFileBytes, MAX_PART_BYTES) + FORM_BYTES;
}

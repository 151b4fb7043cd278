/** Takes in the bytes of one file or part, from the form of a request into the vault, as they come. */
import { ApiError } from '../../errors.ts';
import { admitWrite } from '../../turns/trial-writes.ts';
import { vaultKey, type Vault } from '../../vault/vault.ts';
import type { Call } from '../http/call.ts';
import type { Services } from '../http/services.ts';
import { isFileForm, readFileForm } from './form.ts';
import { emptyFile, encodedForm, missingFile, projectFull, vaultFails } from './refusals.ts';

/** What the endpoints of files work with, beside the services. */
export interface FileSettings {
  readonly vault: Vault;
  readonly maxFileBytes: number;
  /** All files of a project, and the parts of its open uploads; 0 is any number. */
  readonly maxProjectFilesBytes: number;
}

/** What a form has beside its file: heads, fields and delimiters. */
export const FORM_BYTES = 128 * 1024;
/** What a key that no model has answered yet may send where it does not say how much that is. */
const UNDECLARED_BYTES = 4 * 1024 * 1024;

export interface Receiving {
  /** The part of the form that is the file. */
  readonly field: string;
  readonly limitBytes: number;
  readonly tooLarge: (limitBytes: number) => ApiError;
  /** Hears of each field as it comes; what it throws ends the reading. */
  readonly onField: (name: string, value: string) => void;
  /** Others may put the same bytes under this id: then those that are refused are left to the sweep, and not dropped at once. */
  readonly isShared?: boolean;
}

export interface ReceivedBytes {
  /** As the client sent it. */
  readonly name: string;
  readonly bytes: number;
}

/**
 * Puts the bytes into the vault under `id`. Where that fails, nothing is left of them.
 * @throws {ApiError} also when they do not come whole
 */
export async function receive(
  services: Services,
  settings: FileSettings,
  call: Call,
  id: string,
  { field, limitBytes, tooLarge, onField, isShared = false }: Receiving,
): Promise<ReceivedBytes> {
  const { vault } = settings;
  const contentType = call.header('content-type') ?? '';
  if (!isFileForm(contentType)) throw missingFile(field);
  if ((call.header('content-encoding') ?? 'identity').toLowerCase() !== 'identity') throw encodedForm();
  const declared = call.header('content-length');
  if (Number(declared ?? 0) > limitBytes + FORM_BYTES) throw tooLarge(limitBytes);
  await requireRoom(services, settings, call, Number(declared ?? 0) - FORM_BYTES);
  const isCut = await admit(services, call, id, declared);
  const mostBytes = isCut ? Math.min(UNDECLARED_BYTES, limitBytes) : limitBytes;
  call.hold(vault.putBytes);
  const key = vaultKey(call.project, id);
  const read = async (): Promise<ReceivedBytes> => {
    const found = await readFileForm(call.chunks(limitBytes + FORM_BYTES), contentType, {
      file: field,
      onField,
      take: async ({ name, chunks }) => {
        const stored = await reached(call, vault.put(key, bounded(chunks, mostBytes, tooLarge)));
        return { name, bytes: stored.bytes };
      },
    });
    if (found === null) throw missingFile(field);
    if (found.bytes === 0) throw emptyFile(field);
    return found;
  };
  const received = await (isShared ? read() : droppedUnlessKept(vault, call, key, read));
  call.release();
  return received;
}

/**
 * Does what makes bytes belong to something, and drops them where that is refused. Where it is not known whether it was done, they
 * stay: a sweep finds those that belong to nothing.
 */
export async function droppedUnlessKept<T>(
  vault: Vault,
  call: Call,
  key: string,
  keep: () => Promise<T>,
): Promise<T> {
  try {
    return await keep();
  } catch (error) {
    if (error instanceof ApiError) await dropped(vault, call, key);
    throw error;
  }
}

/** Drops bytes that nothing names any more. What cannot be dropped now is found by the sweep. */
export async function dropped(vault: Vault, call: Call, key: string): Promise<void> {
  await vault.drop(key).catch((err: unknown) => call.log.warn({ err }, 'could not drop the bytes of a file'));
}

/** What the vault gives. @throws {ApiError} 503 where it fails; the reason is in the log. */
export async function reached<T>(call: Call, asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    // The source of the bytes broke off, and says so itself.
    if (error instanceof ApiError) throw error;
    const isFull = error instanceof Error && 'code' in error && error.code === 'ENOSPC';
    if (!call.gone.aborted) call.log.error({ err: error }, 'the storage of files failed');
    throw vaultFails(isFull);
  }
}

/** Before anything is read; when the bytes are there, it is decided once more. */
async function requireRoom(
  { objects }: Services,
  { maxProjectFilesBytes: most }: FileSettings,
  { project }: Call,
  bytes: number,
): Promise<void> {
  if (most > 0 && (await objects.files.bytes(project)) + Math.max(bytes, 1) > most) throw projectFull(most);
}

/** @returns whether no more may come than was admitted without the client's word for it */
async function admit(
  services: Services,
  call: Call,
  id: string,
  declared: string | undefined,
): Promise<boolean> {
  if (call.upstreamKey === null || services.trial.knows(call.project)) return false;
  await admitWrite(services, call, {
    makes: id.startsWith('file-') ? id : '',
    textBytes: declared === undefined ? UNDECLARED_BYTES : Number(declared),
  });
  return declared === undefined;
}

async function* bounded(
  chunks: AsyncIterable<Uint8Array>,
  limitBytes: number,
  tooLarge: (limitBytes: number) => ApiError,
): AsyncGenerator<Uint8Array, void> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.byteLength;
    if (bytes > limitBytes) throw tooLarge(limitBytes);
    yield chunk;
  }
}

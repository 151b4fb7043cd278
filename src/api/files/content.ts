/** The bytes of a file as an answer, whole or a range of them. Never shown in a browser: what is in a file is its client's. */
import type { FileObject } from '../../runs/file.ts';
import { vaultKey, type ByteRange } from '../../vault/vault.ts';
import type { Call } from '../http/call.ts';
import type { Answer } from '../http/endpoint.ts';
import { reached, type FileSettings } from './receive.ts';
import { bytesGone, unsatisfiableRange } from './refusals.ts';

/** @throws {ApiError} 404 where the bytes are not there, 416 for a range that the file does not have. */
export async function content({ vault }: FileSettings, call: Call, file: FileObject): Promise<Answer> {
  const range = rangeOf(call.header('range'), file.bytes);
  const length = range === null ? file.bytes : range.last - range.first + 1;
  const headers = {
    'content-type': 'application/octet-stream',
    'content-disposition': `attachment; filename*=UTF-8''${encoded(file.filename)}`,
    'content-length': String(length),
    'accept-ranges': 'bytes',
    ...(range !== null && { 'content-range': `bytes ${range.first}-${range.last}/${file.bytes}` }),
  };
  const status = range === null ? 200 : 206;
  if (!call.wantsBody) return { type: 'bytes', status, headers, chunks: noBytes() };
  const chunks = await reached(call, vault.get(vaultKey(call.project, file.id), range ?? undefined));
  if (chunks === null) {
    call.log.error({ file_id: file.id }, 'the bytes of a file are missing');
    throw bytesGone(file.id);
  }
  return { type: 'bytes', status, headers, chunks };
}

async function* noBytes(): AsyncGenerator<Uint8Array, void> {}

/**
 * The range that a header asks for; null for the whole file, which is also the answer to several ranges and to other units.
 * https://www.rfc-editor.org/rfc/rfc9110#section-14.2
 */
function rangeOf(header: string | undefined, bytes: number): ByteRange | null {
  const [, first = '', last = ''] =
    /^\s*bytes\s*=\s*(\d{0,15})\s*-\s*(\d{0,15})\s*$/i.exec(header ?? '') ?? [];
  if (first === '' && last === '') return null;
  if (first !== '' && last !== '' && Number(last) < Number(first)) return null;
  // Without a first one, the last so many are meant.
  const from = first === '' ? Math.max(0, bytes - Number(last)) : Number(first);
  const to = first === '' || last === '' ? bytes - 1 : Math.min(Number(last), bytes - 1);
  if (from > to) throw unsatisfiableRange(bytes);
  return { first: from, last: to };
}

/** A name in the form of RFC 8187. */
function encoded(name: string): string {
  return encodeURIComponent(name.toWellFormed()).replaceAll(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

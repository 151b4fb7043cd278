/** What requests about files are refused with. */
import { ApiError, echo } from '../../errors.ts';
import { CLIENT_PURPOSES } from '../../runs/file.ts';

const TOO_LARGE = 'request_too_large';

export function fileTooLarge(limitBytes: number): ApiError {
  const text = `The file is larger than ${limitBytes} bytes, the limit of this server. Its operator can raise MAX_FILE_BYTES.`;
  return new ApiError(413, text, { param: 'file', code: TOO_LARGE });
}

export function partTooLarge(limitBytes: number): ApiError {
  const text = `The part is larger than ${limitBytes} bytes. Send the file in more and smaller parts.`;
  return new ApiError(413, text, { param: 'data', code: TOO_LARGE });
}

export function projectFull(limitBytes: number): ApiError {
  const text = `The files of a project may have ${limitBytes} bytes together on this server, and there is no room for this one. Delete some, or ask the server's operator to raise MAX_PROJECT_FILES_BYTES.`;
  return new ApiError(413, text, { code: 'project_files_full' });
}

export function emptyFile(param: string): ApiError {
  return new ApiError(400, 'File is empty.', { param, code: 'invalid_value' });
}

export function missingFile(param: string): ApiError {
  const text = `Missing required parameter: '${param}'. Send the file as a part of that name, in a form (multipart/form-data).`;
  return new ApiError(400, text, { param, code: 'missing_required_parameter' });
}

/** In the hosted API's own (Python) notation. */
export function wrongPurpose(purpose: string, purposes: readonly string[] = CLIENT_PURPOSES): ApiError {
  const known = purposes.map((each) => `'${each}'`).join(', ');
  return new ApiError(400, `'${echo(purpose)}' is not one of [${known}] - 'purpose'`, { param: 'purpose' });
}

export function encodedForm(): ApiError {
  return new ApiError(415, 'Send the form as it is, without a Content-Encoding.', { code: 'unsupported' });
}

/** Answered to whoever asks for bytes that should be there and are not. */
export function bytesGone(id: string): ApiError {
  const text = `What was kept of ${id} is not there any more. Delete it and upload it again; the server's operator finds more in the log.`;
  return new ApiError(404, text, { code: 'unreadable' });
}

export function vaultFails(isFull: boolean): ApiError {
  const text = isFull
    ? "The server's storage of files is full. Its operator has to make room; reading and deleting go on."
    : 'The server cannot reach its storage of files at the moment. Try again in a few seconds.';
  const headers = { 'retry-after': '1', 'retry-after-ms': '1000' };
  return new ApiError(503, text, { type: 'server_error', code: isFull ? 'storage_full' : null, headers });
}

export function unsatisfiableRange(bytes: number): ApiError {
  const text = `The file has ${bytes} bytes, and none of those that the Range header asks for.`;
  const headers = { 'content-range': `bytes */${bytes}` };
  return new ApiError(416, text, { code: 'invalid_range', headers });
}

export function uploadNotOpen(id: string, status: string): ApiError {
  const text = `Upload ${id} is ${status}. Create a new one with POST /uploads.`;
  return new ApiError(400, text, { code: 'upload_not_pending' });
}

export function uploadFull(id: string, announced: number): ApiError {
  const text = `Upload ${id} has no room for this part: ${announced} bytes were announced, and all parts may have twice that, for those that are sent again.`;
  return new ApiError(400, text, { param: 'data', code: 'upload_too_large' });
}

export function wrongPart(param: string, why: string): ApiError {
  return new ApiError(400, `Invalid '${param}': ${why}.`, { param, code: 'invalid_value' });
}

export function wrongTotal(bytes: number, announced: number): ApiError {
  const text = `Invalid 'part_ids': the parts have ${bytes} bytes together, but ${announced} were announced.`;
  return new ApiError(400, text, { param: 'part_ids', code: 'invalid_value' });
}

export function wrongChecksum(md5: string): ApiError {
  const text = `Invalid 'md5': the bytes that arrived have the MD5 checksum ${md5}. Upload the file again.`;
  return new ApiError(400, text, { param: 'md5', code: 'invalid_value' });
}

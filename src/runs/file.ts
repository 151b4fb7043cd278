/** Files and uploads, as the wire says them. Data and rules only; their bytes are elsewhere. */

/** What a client may upload a file for. In the order in which the hosted API names them. */
export const CLIENT_PURPOSES = ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'] as const;

/** What only the server makes files for. */
export const SERVER_PURPOSES = ['assistants_output', 'batch_output', 'fine-tune-results'] as const;

export type ClientPurpose = (typeof CLIENT_PURPOSES)[number];
export type FilePurpose = ClientPurpose | (typeof SERVER_PURPOSES)[number];

export interface FileObject {
  readonly id: string;
  readonly object: 'file';
  readonly bytes: number;
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly filename: string;
  readonly purpose: FilePurpose;
  /** There is nothing to wait for: a file is there as soon as it is known. */
  readonly status: 'processed';
  readonly status_details: null;
}

/** A file that a run has made. */
export function madeFile(own: Pick<FileObject, 'id' | 'bytes' | 'filename' | 'created_at'>): FileObject {
  return {
    ...own,
    object: 'file',
    expires_at: null,
    purpose: 'assistants_output',
    status: 'processed',
    status_details: null,
  };
}

/** A file that comes in parts. */
export interface Upload {
  readonly id: string;
  readonly object: 'upload';
  /** How many bytes were announced. */
  readonly bytes: number;
  readonly created_at: number;
  readonly expires_at: number;
  readonly filename: string;
  readonly purpose: ClientPurpose;
  readonly status: 'pending' | 'completed' | 'cancelled' | 'expired';
  readonly file: FileObject | null;
}

/** How soon and how late a file may expire, counted from its creation. */
export const MIN_FILE_EXPIRY_S = 60 * 60;
export const MAX_FILE_EXPIRY_S = 30 * 24 * 60 * 60;

/** The longest name that is kept, as long as names in most file systems may be. */
const MAX_NAME_LENGTH = 255;

/** A client's name for a file, without the folders before it and without what no name should have. */
export function fileName(given: string): string {
  const base = given.split(/[/\\]/).at(-1) ?? '';
  // oxlint-disable-next-line no-control-regex -- these are what is taken out.
  const name = base.replaceAll(/[\u0000-\u001F\u007F\u2028\u2029\u202A-\u202E\u2066-\u2069]/g, '').trim();
  if (/^\.*$/.test(name)) return 'file';
  return name.length <= MAX_NAME_LENGTH ? name : shortened(name);
}

/** The beginning and the extension. */
function shortened(name: string): string {
  const extension = /\.[^.]{1,16}$/.exec(name)?.[0] ?? '';
  // Half of a surrogate pair is not valid text.
  return name.slice(0, MAX_NAME_LENGTH - extension.length).replace(/[\uD800-\uDBFF]$/, '') + extension;
}

/** The largest file that a model is shown as a picture. */
export const MAX_PICTURE_BYTES = 20 * 1024 * 1024;
/** How many of its first bytes tell what a picture is. */
export const PICTURE_HEAD_BYTES = 12;

/** Why a file cannot be shown as a picture. */
export type PictureFault = 'unknown' | 'too large' | 'no picture';

/** The type of a picture by its first bytes; null for what models are not shown. */
export function pictureType(head: Uint8Array): string | null {
  const text = String.fromCharCode(...head.subarray(0, PICTURE_HEAD_BYTES));
  if (text.startsWith('\u0089PNG\r\n\u001A\n')) return 'image/png';
  if (text.startsWith('\u00FF\u00D8\u00FF')) return 'image/jpeg';
  if (/^GIF8[79]a/.test(text)) return 'image/gif';
  return /^RIFF.{4}WEBP/s.test(text) ? 'image/webp' : null;
}

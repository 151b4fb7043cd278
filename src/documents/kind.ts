/** What kind of document a file is: by what it begins with, and by its name only where the beginning leaves it open. Pure. */

export type DocumentKind = 'pdf' | 'zip' | 'html' | 'text';

/** How much of the beginning is looked at. */
export const HEAD_BYTES = 4_096;
/** Readers of PDF look for its mark this far. */
const PDF_MARK_BYTES = 1_024;

/** What other files begin with, and what they are. */
const OTHERS: readonly (readonly [start: string, what: string])[] = [
  ['\u0089PNG', 'is a picture'],
  ['\u00ff\u00d8\u00ff', 'is a picture'],
  ['GIF8', 'is a picture'],
  ['BM', 'is a picture'],
  ['II*\u0000', 'is a picture'],
  ['MM\u0000*', 'is a picture'],
  ['RIFF', 'is a picture, sound or film'],
  ['ID3', 'is sound'],
  ['OggS', 'is sound or film'],
  ['\u001a\u0045\u00df\u00a3', 'is a film'],
  ['{\\rtf', 'is in Rich Text Format'],
  ['%!PS', 'is in PostScript'],
  ['\u001f\u008b', 'is packed'],
  ['7z\u00bc\u00af', 'is packed'],
  ['Rar!', 'is packed'],
  ['BZh', 'is packed'],
  ['\u00fd7zXZ', 'is packed'],
  ['(\u00b5/\u00fd', 'is packed'],
  ['\u007fELF', 'is a program'],
  ['SQLite format 3\u0000', 'is a database'],
  ['PAR1', 'is in Parquet format'],
];
/** These could also begin a text. */
const DOUBTFUL: ReadonlySet<string> = new Set(['BM', 'RIFF', 'ID3', 'OggS', 'PAR1', 'BZh', 'Rar!', 'GIF8']);

const OLD_OFFICE = '\u00d0\u00cf\u0011\u00e0\u00a1\u00b1\u001a\u00e1';

/** The kind of a file, or why it is none that can be read: words that follow its name. */
export function kindOf(head: Uint8Array, name: string): DocumentKind | { readonly refused: string } {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  const start = bytes.toString('latin1');
  if (start.slice(0, PDF_MARK_BYTES).includes('%PDF-')) return 'pdf';
  if (start.startsWith('PK\u0003\u0004')) return 'zip';
  if (start.startsWith(OLD_OFFICE)) return { refused: 'is in an old format of Office, or encrypted' };
  const other = OTHERS.find(([mark]) => start.startsWith(mark) && !(DOUBTFUL.has(mark) && isText(bytes)));
  if (other !== undefined) return { refused: other[1] };
  const text = start.replace(/^\u00ef\u00bb\u00bf/, '').trimStart();
  const isPage = /^(?:<!--[^]*?-->\s*)*(?:<!doctype html|<html[\s>])/i.test(text);
  return isPage || /\.x?html?$/i.test(name) ? 'html' : 'text';
}

function isText(bytes: Uint8Array): boolean {
  return !bytes.some((byte) => byte < 0x09 || (byte > 0x0d && byte < 0x1b) || byte === 0x7f);
}

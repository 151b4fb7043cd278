/** The text of a document, whatever kind it is of. */
import { open, readFile } from 'node:fs/promises';
import { HEAD_BYTES, kindOf, type DocumentKind } from './kind.ts';
import { damaged, DocumentRefusal, unsupported } from './refusal.ts';
import { decoded, tidied } from './text.ts';

/**
 * The text of the file at `path`, which its owner calls `name`.
 * @throws {DocumentRefusal} in words that follow the name.
 */
export async function textOfFile(path: string, name: string): Promise<string> {
  const head = await headOf(path);
  if (head.length === 0) throw new DocumentRefusal('invalid_file', 'is empty.');
  const kind = kindOf(head, name);
  if (typeof kind === 'object') throw unsupported(kind.refused);
  const text = tidied(await textOf(kind, path));
  if (/[\p{L}\p{N}]/u.test(text)) return text;
  if (kind === 'pdf') throw unsupported('has no text, only pictures of it');
  throw new DocumentRefusal('invalid_file', 'holds no text.');
}

async function textOf(kind: DocumentKind, path: string): Promise<string> {
  try {
    switch (kind) {
      // The parsers are large, and most files need none.
      case 'pdf':
        return await (await import('./pdf.ts')).textOfPdf(await readFile(path));
      case 'zip':
        return await (await import('./office.ts')).textOfOffice(path);
      case 'html':
        return (await import('./html.ts')).textOfHtml(await readFile(path));
      case 'text':
        return decoded(await readFile(path));
    }
  } catch (error) {
    // What the disk says is no fault of the file.
    if (error instanceof DocumentRefusal || (error instanceof Error && 'syscall' in error)) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw damaged(reason.slice(0, 200).replace(/\.+$/, '') || 'it cannot be read');
  }
}

async function headOf(path: string): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

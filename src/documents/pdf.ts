/** The text of a PDF, page by page. */
import { getDocumentProxy } from 'unpdf';
import { damaged, encrypted, MAX_UNPACKED_BYTES, DocumentRefusal, TextSink } from './refusal.ts';

/** It is held in memory as a whole. */
const MAX_PDF_BYTES = 2 * MAX_UNPACKED_BYTES;

/** @throws {DocumentRefusal} for what is encrypted, damaged or too large. */
export async function textOfPdf(bytes: Uint8Array): Promise<string> {
  if (bytes.length > MAX_PDF_BYTES)
    throw new DocumentRefusal('invalid_file', `has more than ${MAX_PDF_BYTES / 1_048_576} MB. Divide it.`);
  // It takes no buffers of Node's own kind.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const document = await getDocumentProxy(plain, { verbosity: 0 }).catch((error: unknown) => {
    if (error instanceof Error && error.name === 'PasswordException') throw encrypted();
    throw damaged('it cannot be read as PDF');
  });
  try {
    const sink = new TextSink();
    for (let number = 1; number <= document.numPages; number += 1) {
      const page = await document.getPage(number);
      const { items } = await page.getTextContent();
      for (const item of items) if ('str' in item) sink.add(item.hasEOL ? `${item.str}\n` : item.str);
      sink.add('\n\n');
      page.cleanup();
    }
    return sink.text;
  } finally {
    await document.loadingTask.destroy();
  }
}

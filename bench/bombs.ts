/** What hostile files and hostile code try, for the bench of isolation. */
import { deflateSync } from 'node:zlib';
import { pdfOfStreams, wordXml, zipOf } from '../test/documents/made.ts';

const MEGABYTE = 1024 * 1024;

/** Documents that unpack to far more than they are, by their names. */
export function hostileDocuments(): Readonly<Record<string, Buffer>> {
  const huge = Buffer.alloc(200 * MEGABYTE, ' ');
  const entities = Array.from({ length: 30 }, (_, level) =>
    level === 0 ? '<!ENTITY e0 "ha">' : `<!ENTITY e${level} "${`&e${level - 1};`.repeat(10)}">`,
  );
  const laughs = `<!DOCTYPE w [${entities.join('')}]>${wordXml('<w:p><w:t>&e29;</w:t></w:p>')}`;
  const words = Buffer.from('BT /F1 12 Tf 72 720 Td (again and again) Tj ET\n'.repeat(1_000_000));
  return {
    'zip.docx': zipOf([{ name: 'word/document.xml', content: huge }]),
    'xml.docx': zipOf([{ name: 'word/document.xml', content: laughs }]),
    'pdf.pdf': pdfOfStreams([
      { bytes: deflateSync(deflateSync(words)), filter: '[/FlateDecode /FlateDecode]' },
    ]),
  };
}

/** Code that wants everything, by what it wants. Each ends by itself after a few seconds where nobody ends it before. */
export const HOSTILE_CODE: Readonly<Record<string, string>> = {
  loops: 'import time\nend = time.time() + 4\nwhile time.time() < end: pass',
  forks: `import os, time
end = time.time() + 4
while time.time() < end:
    try:
        if os.fork() == 0:
            while time.time() < end: pass
            os._exit(0)
    except OSError:
        time.sleep(0.01)`,
  memory: 'kept = []\nwhile True: kept.append(bytearray(10_000_000))',
  disk: `import time
end = time.time() + 4
number = 0
while time.time() < end:
    try:
        with open(f'/mnt/data/{number % 50}', 'wb') as file: file.write(bytes(10_000_000))
    except OSError:
        time.sleep(0.01)
    number += 1`,
  output: "import time\nend = time.time() + 4\nwhile time.time() < end: print('x' * 1000)",
};

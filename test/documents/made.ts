/** Documents for tests, made here: archives, PDFs, and what is hostile in them. */
import { crc32, deflateRawSync, deflateSync } from 'node:zlib';

export interface MadePart {
  readonly name: string;
  readonly content: string | Buffer;
  /** What the archive says instead of the truth. */
  readonly size?: number;
  readonly flags?: number;
}

/** An archive of these parts. */
export function zipOf(parts: readonly MadePart[]): Buffer {
  const files: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, content, size, flags = 0 } of parts) {
    const bytes = Buffer.from(content);
    const packed = deflateRawSync(bytes);
    const fields = Buffer.alloc(22);
    fields.writeUInt16LE(flags, 0);
    fields.writeUInt16LE(8, 2);
    fields.writeUInt32LE(crc32(bytes), 8);
    fields.writeUInt32LE(packed.length, 12);
    fields.writeUInt32LE(size ?? bytes.length, 16);
    fields.writeUInt16LE(Buffer.byteLength(name), 20);
    const common = fields;
    const local = Buffer.concat([
      Buffer.from('PK\u0003\u0004\u0014\u0000', 'latin1'),
      common,
      Buffer.alloc(2),
      Buffer.from(name),
      packed,
    ]);
    const tail = Buffer.alloc(16);
    tail.writeUInt32LE(offset, 12);
    directory.push(
      Buffer.concat([
        Buffer.from('PK\u0001\u0002\u0014\u0000\u0014\u0000', 'latin1'),
        common,
        Buffer.alloc(2),
        tail.subarray(2),
        Buffer.from(name),
      ]),
    );
    files.push(local);
    offset += local.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\u0005\u0006', 'latin1');
  end.writeUInt16LE(parts.length, 8);
  end.writeUInt16LE(parts.length, 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...files, listed, end]);
}

const CONTENT_TYPES = { name: '[Content_Types].xml', content: '<Types/>' };
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** A document of Word with these paragraphs. */
export function docxOf(paragraphs: readonly string[], more: readonly MadePart[] = []): Buffer {
  const body = paragraphs.map(
    (text) => `<w:p><w:r><w:t xml:space="preserve">${escaped(text)}</w:t></w:r></w:p>`,
  );
  return zipOf([CONTENT_TYPES, { name: 'word/document.xml', content: wordXml(body.join('')) }, ...more]);
}

export const wordXml = (body: string): string =>
  `<?xml version="1.0"?><w:document xmlns:w="w"><w:body>${body}</w:body></w:document>`;

export function pptxOf(slides: readonly string[]): Buffer {
  return zipOf([
    CONTENT_TYPES,
    ...slides.map((text, index) => ({
      name: `ppt/slides/slide${index + 1}.xml`,
      content: `<p:sld xmlns:p="p" xmlns:a="a"><a:p><a:r><a:t>${escaped(text)}</a:t></a:r></a:p></p:sld>`,
    })),
  ]);
}

export function xlsxOf(strings: readonly string[], rows: string): Buffer {
  return zipOf([
    CONTENT_TYPES,
    {
      name: 'xl/sharedStrings.xml',
      content: `<sst>${strings.map((text) => `<si><t>${escaped(text)}</t></si>`).join('')}</sst>`,
    },
    { name: 'xl/worksheets/sheet1.xml', content: `<worksheet><sheetData>${rows}</sheetData></worksheet>` },
  ]);
}

export function odtOf(body: string, manifest = '<manifest:manifest xmlns:manifest="m"/>'): Buffer {
  return zipOf([
    { name: 'mimetype', content: 'application/vnd.oasis.opendocument.text' },
    {
      name: 'content.xml',
      content: `<office:document-content><office:body>${body}</office:body></office:document-content>`,
    },
    { name: 'META-INF/manifest.xml', content: manifest },
  ]);
}

/** A PDF with a page for each text; the streams as they are given, or packed. */
export function pdfOf(pages: readonly string[]): Buffer {
  return pdfOfStreams(
    pages.map((text) => ({
      bytes: deflateSync(
        text
          .split('\n')
          .map(
            (line, index) =>
              `BT /F1 12 Tf 72 ${720 - 14 * index} Td (${line.replaceAll(/[()\\]/g, '\\$&')}) Tj ET`,
          )
          .join('\n'),
      ),
      filter: '/FlateDecode',
    })),
  );
}

export function pdfOfStreams(
  streams: readonly { readonly bytes: Buffer; readonly filter: string }[],
  trailer = '',
): Buffer {
  const objects: (string | Buffer)[] = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    `<< /Type /Pages /Kids [${streams.map((_, index) => `${4 + 2 * index} 0 R`).join(' ')}] /Count ${streams.length} >>`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
  ];
  for (const [index, { bytes, filter }] of streams.entries()) {
    objects.push(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents ${5 + 2 * index} 0 R >>`,
      Buffer.concat([
        Buffer.from(`<< /Length ${bytes.length} /Filter ${filter} >>\nstream\n`),
        bytes,
        Buffer.from('\nendstream'),
      ]),
    );
  }
  const parts: Buffer[] = [Buffer.from('%PDF-1.4\n')];
  const offsets: number[] = [];
  let length = 9;
  for (const [index, object] of objects.entries()) {
    offsets.push(length);
    const bytes = Buffer.concat([
      Buffer.from(`${index + 1} 0 obj\n`),
      Buffer.from(object),
      Buffer.from('\nendobj\n'),
    ]);
    parts.push(bytes);
    length += bytes.length;
  }
  const table = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('');
  parts.push(
    Buffer.from(
      `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${table}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R ${trailer} >>\nstartxref\n${length}\n%%EOF\n`,
    ),
  );
  return Buffer.concat(parts);
}

/** Which text is read from which file, and in which words the others are refused. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { textOfFile } from '../../src/documents/read-text.ts';
import { DocumentRefusal } from '../../src/documents/refusal.ts';
import { docxOf, odtOf, pdfOf, pdfOfStreams, pptxOf, wordXml, xlsxOf, zipOf } from './made.ts';

const folder = mkdtempSync(join(tmpdir(), 'longrun-documents-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let made = 0;
async function textOf(name: string, content: string | Uint8Array): Promise<string> {
  made += 1;
  const path = join(folder, `file-${made}`);
  writeFileSync(path, content);
  return textOfFile(path, name);
}

async function refusal(name: string, content: string | Uint8Array): Promise<string> {
  const error: unknown = await textOf(name, content).then(
    (text) => text,
    (error: unknown) => error,
  );
  if (!(error instanceof DocumentRefusal)) throw new Error(`not refused: ${String(error).slice(0, 200)}`);
  return `${error.code}: ${error.message}`;
}

describe('the text', () => {
  test('of a PDF, page after page', async () => {
    const text = await textOf('a.pdf', pdfOf(['First page (really)\nsecond line', 'Second page']));
    expect(text).toMatch(/First page \(really\)\s+second line\s+Second page/);
  });

  test('of a document of Word', async () => {
    const table = '<w:tbl><w:tr><w:tc><w:p><w:r><w:t>cell</w:t></w:r></w:p></w:tc></w:tr></w:tbl>';
    const fallback =
      '<mc:AlternateContent><mc:Choice><w:t>once</w:t></mc:Choice><mc:Fallback><w:t>twice</w:t></mc:Fallback></mc:AlternateContent>';
    const footnotes = {
      name: 'word/footnotes.xml',
      content: wordXml('<w:p><w:r><w:t>A note.</w:t></w:r></w:p>'),
    };
    const text = await textOf('a.docx', docxOf(['Hello & <world>', '退款政策'], [footnotes]));
    expect(text).toBe('Hello & <world>\n\n退款政策\n\nA note.');
    const odd = zipOf([
      {
        name: 'word/document.xml',
        content: wordXml(`${table}<w:p>${fallback}<w:del><w:delText>gone</w:delText></w:del></w:p>`),
      },
    ]);
    expect(await textOf('a.docx', odd)).toMatch(/^cell\s+once$/);
  });

  test('of slides in their order, and of tables', async () => {
    const slides = Array.from({ length: 11 }, (_, index) => `slide ${index + 1}.`);
    expect((await textOf('a.pptx', pptxOf(slides))).match(/slide \d+\./g)).toEqual(slides);
    const rows =
      '<row><c t="s"><v>1</v></c><c><v>42</v></c><c t="inlineStr"><is><t>inline</t></is></c></row><row><c t="str"><v>formula</v></c><c t="s"><v>99</v></c></row>';
    expect(await textOf('a.xlsx', xlsxOf(['zero', 'one'], rows))).toBe('one\t42\tinline\nformula');
  });

  test('of OpenDocument', async () => {
    const body =
      '<text:h>Title</text:h><text:p>a<text:s text:c="3"/>b<text:tab/>c <text:span>d</text:span></text:p>';
    expect(await textOf('a.odt', odtOf(body))).toBe('Title\n\na   b\tc d');
  });

  test('of HTML, whole where the page is no article, and in the encoding that it names', async () => {
    const list = `<!DOCTYPE html><title>Things</title><script>no()</script><ul>${'<li>thing</li>'.repeat(3)}</ul>`;
    expect(await textOf('a.html', list)).toMatch(/^Things\s+- thing\n- thing\n- thing$/);
    expect(await textOf('a.txt', list)).toContain('- thing');
    const latin = Buffer.from('<html><meta charset="iso-8859-1"><p>caf\u00e9</p></html>', 'latin1');
    expect(await textOf('a.html', latin)).toBe('café');
  });

  test.each(['a.md', 'a.json', 'a.csv', 'a.py', 'a', 'a.weird'])('of plain text named %s', async (name) => {
    expect(await textOf(name, '# Head\r\n\r\n\r\n\r\n{"a": 1}  \r\nend\u0007')).toBe(
      '# Head\n\n{"a": 1}\nend',
    );
  });

  test('in UTF-8 and UTF-16 with a mark', async () => {
    expect(await textOf('a.txt', '\uFEFF退款')).toBe('退款');
    const little = Buffer.from('\uFEFFcafé 退款', 'utf16le');
    expect(await textOf('a.txt', little)).toBe('café 退款');
    expect(await textOf('a.txt', Buffer.from(little).swap16())).toBe('café 退款');
  });

  test('does not follow a wrong name', async () => {
    expect(await textOf('a.txt', pdfOf(['in a PDF']))).toBe('in a PDF');
    expect(await textOf('a.pdf', docxOf(['in Word']))).toBe('in Word');
    expect(await textOf('a.docx', 'only text')).toBe('only text');
    expect(await textOf('a.docx', pptxOf(['a slide']))).toBe('a slide');
    expect(await textOf('a.png', 'BMW is a company')).toBe('BMW is a company');
  });
});

describe('refused is', () => {
  test('what has no text, in words that say what has', async () => {
    const nothing = await refusal('a.pdf', pdfOfStreams([{ bytes: Buffer.from('q Q'), filter: '[]' }]));
    expect(nothing).toMatch(
      /^unsupported_file: has no text, only pictures of it, .*Supported are PDF with text/,
    );
    expect(await refusal('a.txt', '')).toBe('invalid_file: is empty.');
    expect(await refusal('a.md', ' \n\n--- \u0000'.replace('\u0000', ''))).toBe(
      'invalid_file: holds no text.',
    );
    expect(await refusal('a.docx', docxOf([]))).toBe('invalid_file: holds no text.');
  });

  test.each([
    ['a.doc', Buffer.from('d0cf11e0a1b11ae1', 'hex'), 'old format of Office, or encrypted'],
    ['a.pdf', Buffer.concat([Buffer.from('\u0089PNG\r\n\u001a\n', 'latin1'), Buffer.alloc(100)]), 'picture'],
    ['a.txt', Buffer.from('{\\rtf1 hello}'), 'Rich Text'],
    ['a.txt', Buffer.from('7f454c46020101', 'hex'), 'program'],
    ['a.txt', Buffer.from('caf\u00e9', 'latin1'), 'UTF-8'],
    ['a.bin', Buffer.from([1, 2, 3, 0, 0, 0]), 'not text'],
    ['a.docx', zipOf([{ name: 'a.txt', content: 'a' }]), 'archive of other files'],
  ])('%s of another kind (%#)', async (name, bytes, words) => {
    expect(await refusal(name, bytes)).toMatch(new RegExp(`^unsupported_file: .*${words}`));
  });

  test('what is encrypted', async () => {
    const encrypt = `/Encrypt << /Filter /Standard /V 1 /R 2 /O (${'o'.repeat(32)}) /U (${'u'.repeat(32)}) /P -4 >> /ID [(a) (b)]`;
    const pdf = pdfOfStreams([{ bytes: Buffer.from('q Q'), filter: '[]' }], encrypt);
    expect(await refusal('a.pdf', pdf)).toMatch(/^unsupported_file: is encrypted/);
    const zip = zipOf([{ name: 'word/document.xml', content: 'x', flags: 1 }]);
    expect(await refusal('a.docx', zip)).toMatch(/^unsupported_file: is encrypted/);
    const odt = odtOf(
      '<text:p>x</text:p>',
      '<manifest:manifest><manifest:encryption-data/></manifest:manifest>',
    );
    expect(await refusal('a.odt', odt)).toMatch(/^unsupported_file: is encrypted/);
  });

  test('what is damaged', async () => {
    expect(await refusal('a.pdf', '%PDF-1.4 and then nothing')).toMatch(/^invalid_file: is damaged/);
    expect(await refusal('a.docx', docxOf(['x']).subarray(0, 200))).toMatch(/^invalid_file: is damaged/);
    const broken = docxOf(['some words that are long enough to be packed'.repeat(20)]);
    broken.fill(0xff, 120, 140);
    expect(await refusal('a.docx', broken)).toMatch(/^invalid_file: is damaged/);
    const half = zipOf([
      { name: '[Content_Types].xml', content: '<Types/>' },
      { name: 'word/other.xml', content: '' },
    ]);
    expect(await refusal('a.docx', half)).toMatch(/^invalid_file: is damaged/);
  });

  test('what grows beyond its limits, and what lies about its size', async () => {
    const huge = Buffer.alloc(80 * 1024 * 1024, ' ');
    expect(await refusal('a.docx', zipOf([{ name: 'word/document.xml', content: huge }]))).toMatch(
      /^invalid_file: .*64 MB/,
    );
    const liar = zipOf([{ name: 'word/document.xml', content: huge, size: 100 }]);
    expect(await refusal('a.docx', liar)).toMatch(/^invalid_file: is damaged/);
    const long = 'a'.repeat(1_000_000);
    const rows = '<row><c t="s"><v>0</v></c></row>'.repeat(100);
    expect(await refusal('a.xlsx', xlsxOf([long], rows))).toMatch(/^invalid_file: .*16 million characters/);
    expect(await refusal('a.txt', 'a '.repeat(9_000_000))).toMatch(/^invalid_file: .*16 million characters/);
    const many = Array.from({ length: 20_001 }, (_, index) => ({ name: `${index}`, content: '' }));
    expect(await refusal('a.docx', zipOf(many))).toMatch(/^invalid_file: .*20000 parts/);
  });

  test('what is nested without end', async () => {
    const deep = wordXml(`${'<w:p>'.repeat(1_000_000)}<w:t>deep</w:t>`);
    const zip = zipOf([{ name: 'word/document.xml', content: deep }]);
    expect(await refusal('a.docx', zip)).toMatch(/^invalid_file: is damaged: it is nested deeper/);
  });

  test('nothing that only looks dangerous', async () => {
    const laughs = `<!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>${wordXml('<w:p><w:t>&b; ok</w:t></w:p>')}`;
    expect(await textOf('a.docx', zipOf([{ name: 'word/document.xml', content: laughs }]))).toMatch(/ok$/);
    const outside = `<!DOCTYPE w [<!ENTITY a SYSTEM "file:///etc/passwd">]>${wordXml('<w:p><w:t>&a; ok</w:t></w:p>')}`;
    expect(await textOf('a.docx', zipOf([{ name: 'word/document.xml', content: outside }]))).toMatch(
      /^&?a?;? ?ok$/,
    );
    expect(await textOf('a.html', `<html>${'<div>'.repeat(50_000)}deep`)).toBe('deep');
  });
});

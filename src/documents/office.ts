/** The text of Word, PowerPoint, Excel and OpenDocument files. */
import { damaged, encrypted, TextSink, unsupported } from './refusal.ts';
import { readXml, type XmlReader } from './xml.ts';
import { PackedParts } from './zip.ts';

const WORD_PARTS = /^word\/(?:document\d*|footnotes|endnotes)\.xml$/;
const SLIDES = /^ppt\/(?:slides\/slide|notesSlides\/notesSlide)(\d+)\.xml$/;
const SHEETS = /^xl\/worksheets\/sheet(\d+)\.xml$/;

/**
 * The text of a packed document.
 * @throws {DocumentRefusal} for other archives, and for what is encrypted, damaged or too large.
 */
export async function textOfOffice(path: string): Promise<string> {
  const parts = await PackedParts.open(path);
  try {
    return await textOfParts(parts);
  } finally {
    parts.close();
  }
}

async function textOfParts(parts: PackedParts): Promise<string> {
  const { names } = parts;
  const sink = new TextSink();
  const all = async (found: readonly string[], reader: () => XmlReader): Promise<string> => {
    for (const name of found) {
      await readXml(parts.text(name), reader());
      sink.add('\n\n');
    }
    return sink.text;
  };
  const words = names.filter((name) => WORD_PARTS.test(name)).toSorted();
  if (words.length > 0) return all(words, () => wordReader(sink));
  const slides = numbered(names, SLIDES);
  if (slides.length > 0) return all(slides, () => slideReader(sink));
  const sheets = numbered(names, SHEETS);
  if (sheets.length > 0) {
    const strings = await sharedStrings(parts);
    return all(sheets, () => sheetReader(sink, strings));
  }
  if (names.includes('content.xml') && names.includes('META-INF/manifest.xml')) {
    await refuseEncrypted(parts);
    return all(['content.xml'], () => openDocumentReader(sink));
  }
  if (names.some((name) => /^(?:word|ppt|xl)\//.test(name))) throw damaged('its main part is missing');
  throw unsupported('is an archive of other files');
}

/** In the order of their numbers; a slide before its notes. */
function numbered(names: readonly string[], pattern: RegExp): readonly string[] {
  const number = (name: string): number => Number(pattern.exec(name)?.[1]);
  return names
    .filter((name) => pattern.test(name))
    .toSorted((a, b) => number(a) - number(b) || (a < b ? 1 : -1));
}

/** Text within elements of one name, and what stands for the ends of others. */
function reader(
  sink: TextSink,
  {
    texts,
    opens = {},
    closes = {},
    skips = [],
  }: {
    readonly texts: readonly string[];
    readonly opens?: Readonly<Record<string, string>>;
    readonly closes?: Readonly<Record<string, string>>;
    /** Elements whose whole content is left out. */
    readonly skips?: readonly string[];
  },
): XmlReader {
  let inside = 0;
  let skipped = 0;
  const add = (text: string | undefined): void => {
    if (text !== undefined && skipped === 0) sink.add(text);
  };
  return {
    open: (name) => {
      if (texts.includes(name)) inside += 1;
      if (skips.includes(name)) skipped += 1;
      if (Object.hasOwn(opens, name)) add(opens[name]);
    },
    text: (text) => {
      if (inside > 0) add(text);
    },
    close: (name) => {
      if (Object.hasOwn(closes, name)) add(closes[name]);
      if (texts.includes(name)) inside -= 1;
      if (skips.includes(name)) skipped -= 1;
    },
  };
}

function wordReader(sink: TextSink): XmlReader {
  return reader(sink, {
    texts: ['w:t'],
    opens: { 'w:tab': '\t', 'w:br': '\n', 'w:cr': '\n', 'w:noBreakHyphen': '-' },
    closes: { 'w:p': '\n\n', 'w:tc': '\t', 'w:tr': '\n' },
    // What it says has been said by the choice before it.
    skips: ['mc:Fallback'],
  });
}

function slideReader(sink: TextSink): XmlReader {
  return reader(sink, {
    texts: ['a:t'],
    opens: { 'a:br': '\n' },
    closes: { 'a:p': '\n', 'a:tc': '\t', 'a:tr': '\n' },
    skips: ['mc:Fallback'],
  });
}

const local = (name: string): string => name.replace(/^[^:]*:/, '');

/** Spaces that one element stands for. */
const MAX_SPACES = 100;

function openDocumentReader(sink: TextSink): XmlReader {
  const plain = reader(sink, {
    texts: ['text:p', 'text:h'],
    opens: { 'text:tab': '\t', 'text:line-break': '\n' },
    closes: { 'text:p': '\n', 'text:h': '\n\n', 'table:table-cell': '\t', 'table:table-row': '\n' },
    skips: ['text:tracked-changes'],
  });
  return {
    ...plain,
    open: (name, attributes) => {
      plain.open?.(name, attributes);
      if (name === 'text:s') sink.add(' '.repeat(Math.min(MAX_SPACES, Number(attributes['text:c']) || 1)));
    },
  };
}

/** Texts of cells, to which cells refer by their number. */
async function sharedStrings(parts: PackedParts): Promise<readonly string[]> {
  const strings: string[] = [];
  let text = '';
  let inside = false;
  let isReading = false;
  await readXml(parts.text('xl/sharedStrings.xml'), {
    open: (name) => {
      if (local(name) === 'si') text = '';
      // How it is pronounced is no part of the text.
      if (local(name) === 'rPh') isReading = true;
      inside = local(name) === 't';
    },
    text: (piece) => {
      if (inside && !isReading) text += piece;
    },
    close: (name) => {
      if (local(name) === 'si') strings.push(text);
      if (local(name) === 'rPh') isReading = false;
      inside = false;
    },
  });
  return strings;
}

/** A line for each row, with tabs between its cells. */
function sheetReader(sink: TextSink, strings: readonly string[]): XmlReader {
  let isShared = false;
  let inside = false;
  let value = '';
  return {
    open: (tag, attributes) => {
      const name = local(tag);
      if (name === 'c') {
        isShared = attributes['t'] === 's';
        value = '';
      }
      inside = name === 'v' || name === 't';
    },
    text: (text) => {
      if (inside) value += text;
    },
    close: (tag) => {
      const name = local(tag);
      inside = false;
      if (name === 'c') sink.add(`${isShared ? (strings[Number(value)] ?? '') : value}\t`);
      else if (name === 'row') sink.add('\n');
    },
  };
}

async function refuseEncrypted(parts: PackedParts): Promise<void> {
  await readXml(parts.text('META-INF/manifest.xml'), {
    open: (name) => {
      if (local(name) === 'encryption-data') throw encrypted();
    },
  });
}

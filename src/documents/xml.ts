/** Reads XML as it comes. It builds no tree, opens no address, and knows no entities but those of XML itself. */
import { Parser } from 'htmlparser2';
import { damaged } from './refusal.ts';

/** Documents have some dozens of levels; the parser's effort grows with the square of them. */
const MAX_LEVELS = 1_000;

export interface XmlReader {
  /** An element begins. @param name as it is written, with its prefix */
  open?(name: string, attributes: Readonly<Record<string, string>>): void;
  text?(text: string): void;
  close?(name: string): void;
}

/** @throws {DocumentRefusal} when it is nested too deep. */
export async function readXml(pieces: AsyncIterable<string>, reader: XmlReader): Promise<void> {
  let levels = 0;
  const parser = new Parser(
    {
      onopentag: (name, attributes) => {
        levels += 1;
        if (levels > MAX_LEVELS) throw damaged(`it is nested deeper than ${MAX_LEVELS} levels`);
        reader.open?.(name, attributes);
      },
      ontext: (text) => reader.text?.(text),
      onclosetag: (name) => {
        levels -= 1;
        reader.close?.(name);
      },
    },
    { xmlMode: true, decodeEntities: true },
  );
  for await (const piece of pieces) parser.write(piece);
  parser.end();
}

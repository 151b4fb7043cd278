/** Cuts a stream into lines, and holds no more of a line than is wanted. For pipes from processes that run the code of others. */
import type { Readable } from 'node:stream';

const NEWLINE = 0x0a;
/**
 * After this many pieces of one line, they are joined into one: a line that drips in would cost more for objects than
 * for bytes.
 */
const MAX_PIECES = 64;

/**
 * Reads `stream` to its end. `onLine` gets each line without its line break. Of a line longer than `maxBytes` it gets
 * the beginning, as soon as that has come, with `isWhole` false. An unfinished last line is left out.
 */
export function eachLine(
  stream: Readable,
  maxBytes: number,
  onLine: (line: string, isWhole: boolean) => void,
): void {
  let pieces: Buffer[] = [];
  let bytes = 0;
  let isCut = false;

  const take = (piece: Buffer): void => {
    if (isCut) return;
    pieces.push(piece.subarray(0, maxBytes - bytes));
    bytes += piece.length;
    if (pieces.length > MAX_PIECES) pieces = [Buffer.concat(pieces)];
    if (bytes <= maxBytes) return;
    isCut = true;
    say(false);
  };
  const say = (isWhole: boolean): void => {
    const line = Buffer.concat(pieces).toString('utf8');
    pieces = [];
    bytes = 0;
    onLine(line, isWhole);
  };

  stream.on('data', (chunk: Buffer) => {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      take(chunk.subarray(from, end));
      if (!isCut) say(true);
      isCut = false;
      from = end + 1;
    }
    take(chunk.subarray(from));
  });
  stream.on('error', () => {});
}

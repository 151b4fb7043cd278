/**
 * Cuts Markdown into pieces that are read one by one, because reading a text as a whole may take the square of its length. Pieces end
 * at blank lines, before something that begins a block of its own; fenced code is a piece, however long.
 */

export interface MarkdownPiece {
  readonly text: string;
  /** Whether it is short enough to be read, or fenced code, which is read at once. */
  readonly isReadable: boolean;
}

/** From here on a piece ends at the next good place. */
const WANTED_LENGTH = 2_000;
/** From here on it ends at any blank line; without one it is not read. */
const MAX_LENGTH = 6_000;

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
/** Goes on with what stands before the blank line: a list, its items, code that is indented. */
const GOES_ON = /^(?:\s|[-*+] |\d+[.)] )/;

export function piecesOf(text: string): readonly MarkdownPiece[] {
  const pieces: MarkdownPiece[] = [];
  let lines: string[] = [];
  let length = 0;
  const cut = (isFence: boolean): void => {
    if (lines.length === 0) return;
    pieces.push({ text: lines.join('\n'), isReadable: isFence || length <= MAX_LENGTH });
    lines = [];
    length = 0;
  };
  let fence: string | null = null;
  let isAfterBlank = false;
  for (const line of text.split('\n')) {
    const mark: string | undefined = FENCE.exec(line)?.[1];
    if (fence === null) {
      if (mark !== undefined) {
        cut(false);
        fence = mark;
      } else if (isAfterBlank && isOver(length, line)) cut(false);
    }
    lines.push(line);
    length += line.length + 1;
    if (fence !== null && lines.length > 1 && closes(line, fence)) {
      cut(true);
      fence = null;
    }
    isAfterBlank = line.trim() === '';
  }
  cut(fence !== null);
  return pieces;
}

const isOver = (length: number, next: string): boolean =>
  length > MAX_LENGTH || (length > WANTED_LENGTH && !GOES_ON.test(next));

/** Whether a line ends the fenced code that `fence` has begun. */
function closes(line: string, fence: string): boolean {
  const mark = FENCE.exec(line)?.[1] ?? '';
  return mark.startsWith(fence) && line.trim() === mark;
}

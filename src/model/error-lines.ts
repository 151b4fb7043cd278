/**
 * Errors that a server names in a line of its own in its event stream, `error: {"code":500,…}`. Older llama.cpp does. To
 * the protocol that is a field of no meaning, which parsers drop, so the line is turned into an event that means it.
 */

const FIELD = 'error:';
/** The blank line ends an event that was still going on; there are two because a `\r` before them takes one. */
const EVENT = '\n\nevent: error\ndata:';

/** The text of one stream, in packets that may be cut anywhere. */
export class ErrorLines {
  /** Whether what follows begins a line. */
  #isLineStart = true;
  /** What may be the beginning of such a line. */
  #held = '';

  /** The text for the parser. A line end releases all of it. */
  push(packet: string): string {
    const text = this.#held + packet;
    const lineAt = Math.max(text.lastIndexOf('\n'), text.lastIndexOf('\r')) + 1;
    const line = lineAt > 0 || this.#isLineStart ? text.slice(lineAt) : '';
    this.#held = line.length < FIELD.length && FIELD.startsWith(line) ? line : '';
    const ready = this.#held === '' ? text : text.slice(0, lineAt);
    if (ready === '') return '';
    const isFirst = this.#isLineStart && ready.startsWith(FIELD);
    this.#isLineStart = /[\r\n]$/.test(ready);
    if (!ready.includes(FIELD)) return ready;
    const first = isFirst ? EVENT + ready.slice(FIELD.length) : ready;
    return first.replaceAll(/(?<=[\r\n])error:/g, EVENT);
  }
}

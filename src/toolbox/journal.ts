/**
 * Writes the output of a tool's process to the log, within the limits of one request: a flood must not cost log space,
 * memory or time. Remembers the last output of a process, which says why it has ended.
 */
import type { Readable } from 'node:stream';
import type { Logger } from '../log.ts';
import { MAX_FIELDS_CHARACTERS, MAX_LOG_LINES } from './child/protocol.ts';

const MAX_LINE_CHARACTERS = 500;
/** Enough for some lines of an error, with the place where it happened. */
const MAX_LAST_CHARACTERS = 1_000;
/** Printed output is always read to its end, or the tool would block on writing; beyond this size it is read slowly. */
const MAX_PRINTED_BYTES = 64 * 1024;
const SLOW_MS = 10;

export class Journal {
  #log: Logger;
  /** How many lines may still be written to the log. */
  #linesLeft = MAX_LOG_LINES;
  /** How many lines the tool may still log itself; our own code in the process never sends more. */
  #notesLeft = MAX_LOG_LINES;
  #printedLeft = MAX_PRINTED_BYTES;
  #lastWords = '';

  constructor(log: Logger) {
    this.#log = log;
  }

  /** The end of the output to stderr. */
  get lastWords(): string {
    return this.#lastWords.toWellFormed().trim();
  }

  /** A request begins; `log` is the logger for it. */
  begin(log: Logger): void {
    this.#log = log;
    this.#linesLeft = MAX_LOG_LINES;
    this.#notesLeft = MAX_LOG_LINES;
    this.#printedLeft = MAX_PRINTED_BYTES;
  }

  /** Logs a line from the tool; false when more lines came than our own code can send. */
  note(level: 'info' | 'warn', fields: Readonly<Record<string, unknown>>, message: string): boolean {
    this.#notesLeft -= 1;
    const isMuch = JSON.stringify(fields).length > MAX_FIELDS_CHARACTERS;
    this.#write(level, isMuch ? { cut: true } : fields, message.slice(0, MAX_LINE_CHARACTERS));
    return this.#notesLeft >= 0;
  }

  /** Reads printed output. @param isLast whether it may hold the process's last words */
  read(stream: Readable, isLast: boolean): void {
    stream.on('data', (chunk: Buffer) => {
      this.#printedLeft -= chunk.length;
      if (this.#printedLeft < 0) {
        stream.pause();
        setTimeout(() => stream.resume(), SLOW_MS).unref();
      }
      const text = chunk.toString('utf8');
      if (isLast) this.#lastWords = `${this.#lastWords}${text}`.slice(-MAX_LAST_CHARACTERS);
      this.#write('debug', { text: text.slice(0, MAX_LINE_CHARACTERS) }, 'tool printed');
    });
  }

  #write(level: 'debug' | 'info' | 'warn', fields: Readonly<Record<string, unknown>>, message: string): void {
    if (this.#linesLeft <= 0) return;
    this.#linesLeft -= 1;
    this.#log[level](fields, message);
  }
}

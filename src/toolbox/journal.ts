/**
 * What the process of a tool says for the log, held to what one request may: a flood must cost our log, our memory and our
 * time nothing. Remembers the last words of a process, which say why it has ended.
 */
import type { Readable } from 'node:stream';
import type { Logger } from '../log.ts';
import { MAX_FIELDS_CHARACTERS, MAX_LOG_LINES } from './child/protocol.ts';

const MAX_LINE_CHARACTERS = 500;
/** Some lines of an error, with the place where it happened. */
const MAX_LAST_CHARACTERS = 1_000;
/** What was printed is read to its end, or its writer would stand still; beyond this it is read slowly. */
const MAX_PRINTED_BYTES = 64 * 1024;
const SLOW_MS = 10;

export class Journal {
  #log: Logger;
  /** What may still be written to the log. */
  #linesLeft = MAX_LOG_LINES;
  /** What the tool may still note by itself; our own code in the process sends no more. */
  #notesLeft = MAX_LOG_LINES;
  #printedLeft = MAX_PRINTED_BYTES;
  #lastWords = '';

  constructor(log: Logger) {
    this.#log = log;
  }

  /** The end of what was printed to stderr. */
  get lastWords(): string {
    return this.#lastWords.toWellFormed().trim();
  }

  /** A request begins, which `log` is about. */
  begin(log: Logger): void {
    this.#log = log;
    this.#linesLeft = MAX_LOG_LINES;
    this.#notesLeft = MAX_LOG_LINES;
    this.#printedLeft = MAX_PRINTED_BYTES;
  }

  /** A line that the tool has for the log; false when there have been more than there can be. */
  note(level: 'info' | 'warn', fields: Readonly<Record<string, unknown>>, message: string): boolean {
    this.#notesLeft -= 1;
    const isMuch = JSON.stringify(fields).length > MAX_FIELDS_CHARACTERS;
    this.#write(level, isMuch ? { cut: true } : fields, message.slice(0, MAX_LINE_CHARACTERS));
    return this.#notesLeft >= 0;
  }

  /** Reads what is printed. @param isLast whether an error is told there */
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

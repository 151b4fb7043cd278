/**
 * The log of one child process, in a file; the terminal shows only what a person should act on. Owns the file, and
 * limits its size and that of its predecessor.
 */
import { closeSync, fchmodSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { PRIVATE_FILE, PRIVATE_FOLDER } from './private.ts';

/** Two such files per process fit on any disk, and hold the days that an operator looks back. */
const MAX_BYTES = 16 * 1024 * 1024;
/** pino's number for warnings. */
const WARN = 40;
const LEVELS: Readonly<Record<number, string>> = { 40: 'warn', 50: 'error', 60: 'fatal' };
/** Enough to see why a process did not start. */
const REMEMBERED_LINES = 20;

const lineSchema = z.looseObject({
  level: z.number(),
  msg: z.string().default(''),
  err: z.looseObject({ message: z.string() }).optional(),
  run_id: z.string().optional(),
  tool: z.string().optional(),
  outcome: z.string().optional(),
  status: z.number().optional(),
  reason: z.string().optional(),
  upstream: z.string().optional(),
  model: z.string().optional(),
  mcp_server: z.string().optional(),
});

/** One line that a process logged. */
export type JournalEntry = z.infer<typeof lineSchema>;

export class LogJournal {
  readonly path: string;
  readonly #say: (text: string) => void;
  #file: number;
  #bytes: number;
  #last: string[] = [];

  /** Appends to the file at `path`; warnings and worse go to `say` as well, in short. */
  constructor(path: string, say: (text: string) => void) {
    mkdirSync(dirname(path), { recursive: true, mode: PRIVATE_FOLDER });
    this.path = path;
    this.#say = say;
    this.#file = openPrivately(path);
    this.#bytes = fstatSync(this.#file).size;
  }

  /** The last output that was not a log line: a stack, or why the process did not start. */
  get lastWords(): string {
    return this.#last.join('\n');
  }

  /** @returns the log entry in `line`, or null when it is just text. */
  write(line: string): JournalEntry | null {
    if (this.#bytes > MAX_BYTES) this.#turnOver();
    this.#bytes += writeSync(this.#file, `${line}\n`);
    const entry = parse(line);
    if (entry === null) this.#last = [...this.#last, line].slice(-REMEMBERED_LINES);
    else if (entry.level >= WARN)
      this.#say(`${LEVELS[entry.level] ?? 'warn'}: ${inShort(entry)}${this.#placeOf(entry)}`);
    return entry;
  }

  close(): void {
    closeSync(this.#file);
  }

  /** Says where to find more about a run, or about a server. */
  #placeOf({ run_id: runId, upstream, model, mcp_server: mcpServer }: JournalEntry): string {
    if (runId !== undefined) return ` [${runId}; grep it in ${this.path}]`;
    const servers = Object.entries({ upstream, model, 'MCP server': mcpServer });
    const named = servers.flatMap(([kind, name]) => (name === undefined ? [] : [`${kind} ${name}`]));
    return named.length === 0 ? '' : ` [${named.join(', ')}; more in ${this.path}]`;
  }

  #turnOver(): void {
    closeSync(this.#file);
    renameSync(this.path, `${this.path}.1`);
    this.#file = openPrivately(this.path);
    this.#bytes = 0;
  }
}

/** Opens a file for appending, and makes it private even if it was not before. */
function openPrivately(path: string): number {
  const file = openSync(path, 'a', PRIVATE_FILE);
  fchmodSync(file, PRIVATE_FILE);
  return file;
}

function inShort({ msg, err, tool, outcome, status, reason }: JournalEntry): string {
  if (err !== undefined) return `${msg} (${err.message})`;
  // The message about a failed run holds the reason already.
  if (reason !== undefined && !msg.includes(reason)) return `${msg}: ${reason}`;
  if (tool === undefined || outcome === undefined) return msg;
  return `${msg}: ${tool}, ${outcome}${status === undefined ? '' : ` (${status})`}`;
}

function parse(line: string): JournalEntry | null {
  if (!line.startsWith('{')) return null;
  try {
    return lineSchema.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}

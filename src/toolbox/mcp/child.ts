/**
 * An MCP server as a child process that speaks JSON-RPC in lines. It owns the process: whatever the server does, the
 * process and those that it has started end with the connection, and neither garbage nor an endless line uses up
 * memory. The library's own transport ends one process only, and reads garbage as long as it comes.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import {
  deserializeMessage,
  serializeMessage,
  type JSONRPCMessage,
  type Transport,
} from '@modelcontextprotocol/client';
import { getDefaultEnvironment } from '@modelcontextprotocol/client/stdio';
import type { Logger } from '../../log.ts';
import { Family } from '../family.ts';
import { eachLine } from '../../lines.ts';
import { Broken } from './broken.ts';

/** How a server's process is started. */
export interface ChildServer {
  readonly command: string;
  readonly args: readonly string[];
  /** Its environment besides PATH, HOME and the like. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string | undefined;
}

/** The largest message, and the most that a server may leave unread. Photos in base64 fit in. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** Banners and stray log lines are ignored; reading many more would slow every run of this process. */
const MAX_STRAY_LINES = 1_000;
const MAX_STDERR_LINE_BYTES = 1_000;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

export class ChildTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;

  readonly #server: ChildServer;
  readonly #graceMs: number;
  readonly #onStderr: (line: string) => void;
  readonly #family: Family;
  #child: Child | null = null;
  /** Resolves when the process and all that it has started are gone. */
  #ended: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;
  #strayLines = 0;
  #hasHungUp = false;

  /**
   * @param graceMs how long the process may take to end by itself, and once more after SIGTERM
   * @param onStderr called with each line that the server writes to stderr, cut when it is long
   */
  constructor(server: ChildServer, graceMs: number, log: Logger, onStderr: (line: string) => void) {
    this.#server = server;
    this.#graceMs = graceMs;
    this.#onStderr = onStderr;
    this.#family = new Family(log);
  }

  /** @throws Error with the system's code when the command cannot be started. */
  async start(): Promise<void> {
    const { command, args, cwd, env } = this.#server;
    const child = spawn(command, args, {
      cwd,
      env: { ...getDefaultEnvironment(), ...env, ...this.#family.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own: what npx and shells start ends with it, and Ctrl-C reaches only us: we choose when it stops.
      detached: true,
    });
    this.#child = child;
    const started = Promise.withResolvers<void>();
    this.#ended = new Promise((resolve) => {
      // Processes that it left behind would hold its pipes open.
      child.once('exit', () => resolve(this.#family.end()));
      child.once('error', resolve);
    });
    child.once('spawn', () => started.resolve());
    child.on('error', (error) => started.reject(error));
    child.once('close', () => this.#hangUp());
    if (child.pid !== undefined) this.#family.begin(child.pid);
    // The end of the process reports more.
    child.stdin.on('error', () => {});
    eachLine(child.stdout, MAX_MESSAGE_BYTES, (line, isWhole) => this.#hear(line, isWhole));
    eachLine(child.stderr, MAX_STDERR_LINE_BYTES, (line) => this.#onStderr(line));
    await started.promise;
  }

  /** @throws {Broken} when the process is gone or has stopped reading. */
  async send(message: JSONRPCMessage): Promise<void> {
    const stdin = this.#child?.stdin;
    if (stdin === undefined || !stdin.writable || this.#closing !== null)
      throw new Broken('It has ended the connection.');
    if (stdin.writableLength > MAX_MESSAGE_BYTES) throw new Broken('It does not read what it is sent.');
    stdin.write(serializeMessage(message));
  }

  /** Ends the process: first by closing its input, then by SIGTERM, then by SIGKILL. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    this.#hangUp();
    this.#child?.stdin.end();
    if (await this.#endsInTime()) return;
    this.#family.signal('SIGTERM');
    if (await this.#endsInTime()) return;
    this.#family.signal('SIGKILL');
    await this.#endsInTime();
  }

  async #endsInTime(): Promise<boolean> {
    const waiting = new AbortController();
    const late = pause(this.#graceMs, false, { signal: waiting.signal }).catch(() => false);
    const inTime = await Promise.race([this.#ended.then(() => true), late]);
    waiting.abort();
    return inTime;
  }

  /** Called at the first sign of the end, so that waiting calls need not wait for the process to end. */
  #hangUp(): void {
    if (this.#hasHungUp) return;
    this.#hasHungUp = true;
    this.onclose?.();
  }

  #hear(line: string, isWhole: boolean): void {
    if (this.#closing !== null) return;
    if (!isWhole) return this.#giveUp('It wrote a message that is too long.');
    try {
      if (!line.startsWith('{')) throw new SyntaxError('no JSON object');
      const message = deserializeMessage(line);
      this.#strayLines = 0;
      this.onmessage?.(message);
    } catch {
      this.#strayLines += 1;
      if (this.#strayLines > MAX_STRAY_LINES) this.#giveUp('It writes what are no messages.');
    }
  }

  #giveUp(reason: string): void {
    this.#child?.stdout.destroy();
    this.onerror?.(new Broken(reason));
    void this.close();
  }
}

/**
 * A process that runs one tool, one call at a time, for its owner. It has no secrets: its environment is scrubbed, and
 * it knows only what comes with a call. It may be ended at any moment. A composition root.
 */
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { Socket } from 'node:net';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { extentOf } from '../../runs/json-extent.ts';
import { ToolArgumentError, ToolError, type ToolLog } from '../../runs/tool.ts';
import { readDefinition, type DefinedTool } from '../definition.ts';
import { endMembers } from '../family.ts';
import { eachLine } from '../../lines.ts';
import { checkedOutput } from '../output.ts';
import { resolveFromHere } from '../resolve.ts';
import { LateGuard } from './late-guard.ts';
import {
  EVENTS_FD,
  MAX_FIELDS_CHARACTERS,
  MAX_LOG_LINES,
  readRequest,
  REQUESTS_FD,
  type CallRequest,
  type LoadRequest,
  type Outcome,
  type ToolEvent,
  type ToolRequest,
} from './protocol.ts';

/** A process of this size is replaced after its call. */
const SPENT_BYTES = 256 * 1024 * 1024;
/** A process of this size is ended in the middle of a call. */
const MAX_RESIDENT_BYTES = 512 * 1024 * 1024;

const MAX_FIELDS_DEPTH = 16;
const MAX_PRINTED_BYTES = 8 * 1024;
/** The longest error message that is sent on. */
const MAX_MESSAGE_CHARACTERS = 8_000;

let tool: DefinedTool | null = null;
let mark = '';

/** Written synchronously, because the code that runs next may never yield. */
function say(event: ToolEvent): void {
  let rest = Buffer.from(`${JSON.stringify(event)}\n`);
  while (rest.length > 0) rest = rest.subarray(writeSync(EVENTS_FD, rest));
}

/** @throws {ToolError} saying what is wrong with the file, for the operator. */
async function load(request: LoadRequest): Promise<Outcome> {
  mark = request.mark;
  const loaded: unknown = await import(pathToFileURL(request.file).href);
  const exported =
    typeof loaded === 'object' && loaded !== null && 'default' in loaded ? loaded.default : undefined;
  const defined = readDefinition(exported);
  if ('problem' in defined) throw new ToolError(defined.problem);
  tool = defined;
  return { type: 'described', description: defined.description };
}

async function call(request: CallRequest): Promise<Outcome> {
  if (tool === null) throw new Error('called before it was loaded');
  const { nonce } = request;
  const guard = new LateGuard(request.allowHosts);
  try {
    const value = await tool.run(request.args, {
      ...request.call,
      settings: request.settings,
      fetch: guard.fetch,
      log: logOf(nonce),
      timeoutMs: request.timeoutMs,
      signal: AbortSignal.timeout(request.timeoutMs),
    });
    return { type: 'answered', value: checkedOutput(value, request.maxOutputBytes) };
  } finally {
    await guard.close();
  }
}

/** The request that is being worked on; null once it has settled. */
let current: string | null = null;

async function answer(request: ToolRequest): Promise<void> {
  const { nonce } = request;
  current = nonce;
  linesLeft = MAX_LOG_LINES;
  printedLeft = MAX_PRINTED_BYTES;
  say({ nonce, type: 'started' });
  const outcome = await (request.type === 'load' ? load(request) : call(request)).catch(outcomeOf);
  current = null;
  say({ nonce, type: 'settled', outcome });
  const isAlone = await endMembers({ group: process.pid, mark }, process.pid);
  say({ nonce, type: 'ready', isSpent: !isAlone || process.memoryUsage.rss() > SPENT_BYTES });
}

function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof Error)) return { type: 'failed', message: words(error), stack: '' };
  const message = words(error.message);
  if (error instanceof ToolArgumentError) return { type: 'arguments', message };
  if (error instanceof ToolError) return { type: 'refused', message };
  return { type: 'failed', message, stack: words(error.stack ?? '') };
}

/** The text of whatever a tool throws or logs, cut. */
const words = (text: unknown): string => String(text).slice(0, MAX_MESSAGE_CHARACTERS);

/** How much the present call may still log and print: a flood would keep the owner busy discarding it. */
let linesLeft = 0;
let printedLeft = 0;

function logOf(nonce: string): ToolLog {
  const note =
    (level: 'info' | 'warn') =>
    (given: Readonly<Record<string, unknown>>, message: string): void => {
      // A call that has been answered must not log any more.
      if (linesLeft <= 0 || current !== nonce) return;
      linesLeft -= 1;
      const text = JSON.stringify(given);
      const isMuch = text.length > MAX_FIELDS_CHARACTERS || extentOf(text).depth > MAX_FIELDS_DEPTH;
      const fields = isMuch ? { cut: true } : given;
      say({ nonce, type: 'log', level, fields, message: words(message) });
    };
  return { info: note('info'), warn: note('warn') };
}

/** Bounds what is printed, because the owner writes it to the log. */
function bound(stream: NodeJS.WriteStream): void {
  const write = stream.write.bind(stream);
  stream.write = (text: string | Uint8Array): boolean => {
    const rest = Buffer.from(text).subarray(0, Math.max(0, printedLeft));
    printedLeft -= rest.length;
    return rest.length === 0 || write(rest);
  };
}

resolveFromHere();
for (const stream of [process.stdout, process.stderr]) bound(stream);
const watchdog = new Worker(new URL('watchdog.ts', import.meta.url), {
  argv: [String(MAX_RESIDENT_BYTES)],
});
// A thread starts with the help of the main thread, which a tool may soon keep busy for ever.
await once(watchdog, 'message');
// By itself Node writes what it has compiled when it ends, unless it is killed, as this process is.
flushCompileCache();
const requests = new Socket({ fd: REQUESTS_FD, writable: false });
// The owner is gone.
requests.once('close', () => process.exit());
eachLine(requests, Infinity, (line) => void answer(readRequest(line)));

/**
 * A process that runs tools, one call at a time, for the process that owns it. It has no secret: its environment is
 * scrubbed, and it knows only what comes with a call. It may be ended at any moment. A composition root.
 */
import { once } from 'node:events';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import workerpool from 'workerpool';
import { createGuard } from '../../guard/fetch.ts';
import { ToolArgumentError, ToolError, type ToolLog } from '../../runs/tool.ts';
import { readDefinition, type DefinedTool } from '../definition.ts';
import { checkedOutput } from '../output.ts';
import { resolveFromHere } from '../resolve.ts';
import { MAX_LOG_LINES, type CallRequest, type ChildEvent, type Outcome } from './protocol.ts';

/** Grown this big, the process is replaced after its call. */
const SPENT_BYTES = 256 * 1024 * 1024;
/** Grown this big, it is ended in the middle of one. */
const MAX_RESIDENT_BYTES = 512 * 1024 * 1024;

const MAX_FIELDS_CHARACTERS = 2_000;
const MAX_PRINTED_BYTES = 8 * 1024;

const say = (event: ChildEvent): void => workerpool.workerEmit(event);

async function describe(file: string): Promise<Outcome> {
  const { description } = await load(file);
  return { type: 'described', description };
}

async function call(request: CallRequest): Promise<Outcome> {
  const tool = await load(request.file);
  const guard = createGuard({ allow: request.allowHosts });
  try {
    const value = await tool.run(request.args, {
      ...request.call,
      settings: request.settings,
      fetch: guard.fetch,
      log,
      timeoutMs: request.timeoutMs,
      signal: AbortSignal.timeout(request.timeoutMs),
    });
    return { type: 'answered', value: checkedOutput(value, request.maxOutputBytes) };
  } finally {
    await guard.close();
  }
}

/** @throws {ToolError} naming what is wrong with the file, for the operator. */
async function load(file: string): Promise<DefinedTool> {
  const loaded: unknown = await import(pathToFileURL(file).href);
  const exported =
    typeof loaded === 'object' && loaded !== null && 'default' in loaded ? loaded.default : undefined;
  const tool = readDefinition(exported);
  if ('problem' in tool) throw new ToolError(tool.problem);
  return tool;
}

/** Works on one request and says how it ended; the pool only hears that it did. */
function answering<Request>(
  work: (request: Request) => Promise<Outcome>,
): (request: Request) => Promise<void> {
  return async (request) => {
    linesLeft = MAX_LOG_LINES;
    printedLeft = MAX_PRINTED_BYTES;
    say({ type: 'started', pid: process.pid });
    const outcome = await work(request).catch(outcomeOf);
    const isSpent = process.memoryUsage.rss() > SPENT_BYTES;
    say({ type: 'settled', outcome, isSpent });
    // To return is to be given the next request. Whoever owns us ends us instead.
    if (isSpent) await new Promise(() => {});
  };
}

function outcomeOf(error: unknown): Outcome {
  if (error instanceof ToolArgumentError) return { type: 'arguments', message: error.message };
  if (error instanceof ToolError) return { type: 'refused', message: error.message };
  if (error instanceof Error) return { type: 'failed', message: error.message, stack: error.stack ?? '' };
  return { type: 'failed', message: String(error), stack: '' };
}

/** What the present call may still say: a flood would keep our owner busy with throwing it away. */
let linesLeft = 0;
let printedLeft = 0;

const log: ToolLog = {
  info: (fields, message) => note('info', fields, message),
  warn: (fields, message) => note('warn', fields, message),
};

function note(level: 'info' | 'warn', fields: Readonly<Record<string, unknown>>, message: string): void {
  if (linesLeft <= 0) return;
  linesLeft -= 1;
  const isLong = JSON.stringify(fields).length > MAX_FIELDS_CHARACTERS;
  say({ type: 'log', level, fields: isLong ? { cut: true } : fields, message });
}

/** Bounds what is printed; our owner writes it to the log. */
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
  workerData: { maxResidentBytes: MAX_RESIDENT_BYTES },
});
// A thread starts with the help of the main one, which a tool may soon keep busy for ever.
await once(watchdog, 'message');
workerpool.worker({ describe: answering(describe), call: answering(call) });

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
import type { CallRequest, ChildEvent, Outcome } from './protocol.ts';

/** Grown this big, the process is replaced after its call. */
const SPENT_BYTES = 256 * 1024 * 1024;
/** Grown this big, it is ended in the middle of one. */
const MAX_RESIDENT_BYTES = 512 * 1024 * 1024;

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

const log: ToolLog = {
  info: (fields, message) => say({ type: 'log', level: 'info', fields, message }),
  warn: (fields, message) => say({ type: 'log', level: 'warn', fields, message }),
};

resolveFromHere();
const watchdog = new Worker(new URL('watchdog.ts', import.meta.url), {
  workerData: { maxResidentBytes: MAX_RESIDENT_BYTES },
});
// A thread starts with the help of the main one, which a tool may soon keep busy for ever.
await once(watchdog, 'message');
workerpool.worker({ describe: answering(describe), call: answering(call) });

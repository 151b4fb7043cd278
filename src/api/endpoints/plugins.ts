/**
 * `/pluginapi?tid&aid&pid`: runs one of the server's own tools for a client that was asked for its output. Its clients
 * quote badly, so a body that does not parse is replaced by the arguments the pending call has on record.
 */
import { z } from 'zod';
import { notFound, unknownPlugin } from '../../errors.ts';
import { pendingCalls } from '../../runs/run.ts';
import type { RequiredCall } from '../../runs/thread.ts';
import { ToolArgumentError, type Tool, type ToolContext } from '../../runs/tool.ts';
import { isSafeId } from '../../store/keys.ts';
import type { Call, Endpoint } from '../endpoint.ts';
import type { Services } from '../services.ts';
import { fitJson } from '../shell-safe.ts';

/** The clients cut at 8,000 characters, wherever that falls. */
const MAX_ANSWER_BYTES = 8_000;

const pluginQuery = z.object({ tid: z.string().min(1), aid: z.string().optional(), pid: z.string().min(1) });

export function pluginEndpoints(services: Services): readonly Endpoint[] {
  const { toolbox } = services;
  return [
    {
      method: 'POST',
      path: '/pluginapi',
      handle: async (call) => {
        const { tid: threadId, aid: assistantId = null, pid: name } = call.query(pluginQuery);
        const pending = await pendingCall(services, call.project, threadId, name);
        const tool = toolbox.get(name);
        if (tool === undefined) throw unknownPlugin(name, [...toolbox.keys()]);
        const args = parseArguments(call.text, pending);
        const timeout = AbortSignal.timeout(tool.timeoutMs);
        const signal = AbortSignal.any([timeout, call.gone]);
        const value = await answer(
          tool,
          args,
          { threadId, assistantId, callId: pending?.id ?? null, signal },
          call,
        );
        return { type: 'text', text: fitJson(value, MAX_ANSWER_BYTES) };
      },
    },
  ];
}

/**
 * The call of this tool that the thread's run waits for; null when none does.
 * @throws {ApiError} 404 for a thread that is not there.
 */
async function pendingCall(
  { objects, runs }: Services,
  project: string,
  threadId: string,
  name: string,
): Promise<RequiredCall | null> {
  if (!isSafeId(threadId)) throw notFound('thread', threadId);
  const { exists, runId } = await objects.activeRun({ project, threadId });
  if (!exists) throw notFound('thread', threadId);
  if (runId === null) return null;
  const found = await runs.get({ project, threadId, runId });
  return pendingCalls(found?.stored.state.run ?? null).find((call) => call.function.name === name) ?? null;
}

/** The arguments: the body as JSON, as JSON text inside a JSON string, or else those on record. */
function parseArguments(text: string, pending: RequiredCall | null): unknown {
  const onRecord = pending === null ? undefined : parse(pending.function.arguments);
  const given = parse(text);
  const unwrapped = typeof given === 'string' ? (parse(given) ?? given) : given;
  return unwrapped ?? onRecord ?? {};
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What the tool answers; what goes wrong is an answer too, because the model is the one to read it. */
async function answer(tool: Tool, args: unknown, context: ToolContext, call: Call): Promise<unknown> {
  const failed = (error: string): unknown => ({ error });
  try {
    return await Promise.race([tool.run(args, context), timeUp(context.signal)]);
  } catch (error) {
    if (error instanceof ToolArgumentError) return failed(error.message);
    call.log.warn({ err: error, tool: tool.name, thread_id: context.threadId }, 'tool failed');
    return failed(
      context.signal.aborted
        ? `${tool.name} did not answer within ${tool.timeoutMs / 1000} s.`
        : `${tool.name} failed. Try without it.`,
    );
  }
}

async function timeUp(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('time is up')), { once: true });
  });
}

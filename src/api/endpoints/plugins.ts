/**
 * `/pluginapi?tid&aid&pid`: runs one of the server's own tools for a client that was asked for its output. Its clients
 * quote badly, so a body that does not parse is replaced by the arguments the pending call has on record.
 */
import { z } from 'zod';
import { notFound, unknownPlugin } from '../../errors.ts';
import { pendingCalls } from '../../runs/run.ts';
import type { RequiredCall } from '../../runs/thread.ts';
import { isSafeId } from '../../store/keys.ts';
import type { Endpoint } from '../endpoint.ts';
import type { Services } from '../services.ts';
import { fitJson } from '../shell-safe.ts';

/** The clients cut at 8,000 characters, wherever that falls. */
const MAX_ANSWER_BYTES = 8_000;

const pluginQuery = z.object({ tid: z.string().min(1), aid: z.string().optional(), pid: z.string().min(1) });

export function pluginEndpoints(services: Services): readonly Endpoint[] {
  const { tools, runTool } = services;
  return [
    {
      method: 'POST',
      path: '/pluginapi',
      handle: async (call) => {
        const { tid: threadId, aid: assistantId = null, pid: name } = call.query(pluginQuery);
        const pending = await pendingCall(services, call.project, threadId, name);
        if (!tools.has(name)) throw unknownPlugin(name, [...tools]);
        const args = parseArguments(call.text, pending);
        const context = { threadId, assistantId, callId: pending?.id ?? null, extras: {}, secrets: {} };
        const value = await runTool(name, args, context, call.gone);
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

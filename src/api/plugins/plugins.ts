/**
 * The server's own tools. `/plugins` lists them. `/pluginapi?tid&aid&pid` runs one, for a client whose run waits for
 * its output, or without a `tid` outside any thread. Such clients quote badly. So where a body is empty, or equals a
 * pending call's arguments except for quoting, the stored arguments of that call are used.
 */
import { z } from 'zod';
import { notFound, unknownPlugin } from '../../errors.ts';
import { calledFunction } from '../../runs/calls/kinds.ts';
import { pendingCalls } from '../../runs/run.ts';
import type { Plugin, ToolSource } from '../../runs/tool.ts';
import type { RequiredCall } from '../../runs/thread.ts';
import { isSafeId } from '../../store/keys.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import { fitJson } from '../http/shell-safe.ts';

/** The clients cut every answer at 8,000 characters. */
const MAX_ANSWER_BYTES = 8_000;
/** The toolbox takes far shorter arguments; this leaves room for twice a string with all its quotes escaped. */
const MAX_READ_CHARACTERS = 2 * 1024 * 1024;

const pluginQuery = z.object({
  tid: z.string().min(1).optional(),
  aid: z.string().optional(),
  pid: z.string().min(1),
});

/** Outside any thread no run waits for the output. */
const NOTHING_PENDING = { runId: null, pending: [] } as const;

export function pluginEndpoints(services: Services): readonly Endpoint[] {
  const { plugins, runTool } = services;
  return [
    {
      method: 'GET',
      path: '/plugins',
      handle: ({ upstreamKey }) => {
        const data = plugins.list().map(pluginObject);
        // Callers with keys of their own need not see sources whose tools they cannot use.
        const sources = plugins
          .sources()
          .filter((source) => upstreamKey === null || source.tools().length > 0);
        return json({ object: 'list', data, sources: sources.map(sourceObject), has_more: false });
      },
    },
    {
      method: 'POST',
      path: '/pluginapi',
      handle: async (call) => {
        const { tid, aid: assistantId = null, pid: name } = call.query(pluginQuery);
        const { project } = call;
        const { runId, pending } =
          tid === undefined ? NOTHING_PENDING : await pendingOf(services, project, tid, name);
        if (plugins.find(name) === null)
          throw unknownPlugin(
            name,
            plugins.list().map(({ tool }) => tool.name),
          );
        const { written, callId } = chooseArguments(call.text, pending);
        const asked = { project, runId, threadId: tid ?? '', assistantId, callId };
        const value = await runTool(name, written, { ...asked, extras: {}, secrets: {} }, call.gone);
        return { type: 'text', text: fitJson(value, MAX_ANSWER_BYTES) };
      },
    },
  ];
}

function pluginObject({ tool, source }: Plugin): unknown {
  return {
    id: tool.name,
    object: 'plugin',
    name: tool.name,
    description: tool.description,
    parameters: tool.parameters,
    answered_by: tool.answeredBy,
    source: { type: source.type, from: source.from },
    limits: { timeout_ms: tool.timeoutMs, max_output_bytes: tool.maxOutputBytes, cache_s: tool.cacheS },
    health: source.health(),
  };
}

function sourceObject(source: ToolSource): unknown {
  const tools = source.tools().map(({ name }) => name);
  return { type: source.type, from: source.from, tools, health: source.health() };
}

/**
 * The calls of this tool for which the thread's run waits.
 * @throws {ApiError} 404 for a thread that does not exist.
 */
async function pendingOf(
  { objects, runs }: Services,
  project: string,
  threadId: string,
  name: string,
): Promise<{ readonly runId: string | null; readonly pending: readonly RequiredCall[] }> {
  if (!isSafeId(threadId)) throw notFound('thread', threadId);
  const { exists, runId } = await objects.threads.activeRun({ project, threadId });
  if (!exists) throw notFound('thread', threadId);
  if (runId === null) return { runId, pending: [] };
  const found = await runs.get({ project, threadId, runId });
  const calls = pendingCalls(found?.stored.state.run ?? null);
  return { runId, pending: calls.filter((call) => calledFunction(call).name === name) };
}

/**
 * The arguments as they were written: those stored with the pending call that the body means, or else the body, which
 * may be JSON or a JSON string that holds JSON. A body that is too long for arguments is passed on unread; the tool
 * runner refuses it.
 */
function chooseArguments(
  text: string,
  pending: readonly RequiredCall[],
): { readonly written: string; readonly callId: string | null } {
  const [first] = pending;
  if (text.length > MAX_READ_CHARACTERS) return { written: text, callId: first?.id ?? null };
  const said = essence(text);
  const meant = pending.find((call) => essence(calledFunction(call).arguments) === said);
  const chosen = meant ?? first;
  const onRecord = saying(chosen === undefined ? '' : calledFunction(chosen).arguments);
  const given = unwrapped(text);
  const written = meant === undefined ? (given ?? onRecord) : (onRecord ?? given);
  return { written: written ?? '{}', callId: chosen?.id ?? null };
}

/** The characters of a text that a shell's quoting does not change. */
const essence = (text: string): string => text.replaceAll(/[\\\s"']/g, '');

/** The text, when it is JSON and not null. */
function saying(text: string): string | null {
  return text.length > MAX_READ_CHARACTERS || read(text) !== null ? text : null;
}

/** As {@link saying}, but for a JSON string, its content. */
function unwrapped(text: string): string | null {
  const value = read(text);
  if (typeof value === 'string') return value;
  return value === null ? null : text;
}

/**
 * The value of JSON text; null also when it is not JSON. Parsing handles any depth; only code that walks the value
 * needs a limit.
 */
function read(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * The server's own tools. `/plugins` says what there is. `/pluginapi?tid&aid&pid` runs one for a client that was asked for
 * its output, or outside of any thread where there is no `tid`; such clients quote badly, so a body that says the same as a pending call, but for what quoting did to it,
 * or nothing at all, is replaced by the arguments that call has on record.
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

/** The clients cut at 8,000 characters, wherever that falls. */
const MAX_ANSWER_BYTES = 8_000;
/** Arguments are shorter by far (the toolbox bounds them); twice as long as a string with all of its quotes escaped. */
const MAX_READ_CHARACTERS = 2 * 1024 * 1024;

const pluginQuery = z.object({
  tid: z.string().min(1).optional(),
  aid: z.string().optional(),
  pid: z.string().min(1),
});

/** Outside of any thread, nobody waits for the output. */
const NOTHING_PENDING = { runId: null, pending: [] } as const;

export function pluginEndpoints(services: Services): readonly Endpoint[] {
  const { plugins, runTool } = services;
  return [
    {
      method: 'GET',
      path: '/plugins',
      handle: ({ upstreamKey }) => {
        const data = plugins.list().map(pluginObject);
        // Where the operator keeps tools that callers with keys of their own cannot use is not their business.
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
 * The calls of this tool that the thread's run waits for.
 * @throws {ApiError} 404 for a thread that is not there.
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
 * The arguments as they were written: those on record of the call that the body means, or the body as JSON or JSON text in a
 * JSON string. A body longer than any arguments may be is passed on unread; what runs the tool says so.
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

/** What a shell's quoting leaves of a text. */
const essence = (text: string): string => text.replaceAll(/[\\\s"']/g, '');

/** The text when it is JSON that says something. */
function saying(text: string): string | null {
  return text.length > MAX_READ_CHARACTERS || read(text) !== null ? text : null;
}

/** As {@link saying}, and what a JSON string says instead of the string. */
function unwrapped(text: string): string | null {
  const value = read(text);
  if (typeof value === 'string') return value;
  return value === null ? null : text;
}

/** Null also for what is no JSON. Parsing knows no depth that is too much; whoever walks the value does. */
function read(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

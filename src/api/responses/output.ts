/** What a run has said and done, as the items of the Responses API: of a run that is stored, and piece by piece of its log. */
import { z } from 'zod';
import { codeIn } from '../../runs/calls/written-code.ts';
import { answererOf, calledFunction, isOpenCall, outputOf, type StepCall } from '../../runs/calls/kinds.ts';
import type { CodeOutput } from '../../runs/calls/code-interpreter.ts';
import type { RunOrigin } from '../../runs/event.ts';
import { queriesIn } from '../../runs/calls/queries.ts';
import { isRecord } from '../../runs/record.ts';
import { callsOf } from '../../runs/parts.ts';
import type { KeptThought, Thought } from '../../runs/thoughts.ts';
import type { Annotation, Message, Run, RunStep } from '../../runs/thread.ts';
import type { WireItem } from '../../runs/items.ts';
import { itemId } from './ids.ts';
import { OWN_LABEL } from './mcp.ts';
import { WEB_SEARCH } from './tools.ts';

/** An item of an output: it has an id and a status. */
export interface OutputItem extends WireItem {
  readonly id: string;
}

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

/** What items are made of: the run, and what its caller wants to see. */
export interface View {
  readonly run: Pick<Run, 'id' | 'thread_id' | 'tools' | 'started_at'>;
  readonly origin: Pick<RunOrigin, 'server_tools' | 'response' | 'remotes'>;
  /** Seals a thought for a client that keeps it; null where none is wanted. */
  readonly seal: ((text: string) => string) | null;
}

/** Whether a request's `include` names this. */
export function includes({ origin }: Pick<View, 'origin'>, name: string): boolean {
  const asked = origin.response?.shown['include'];
  return Array.isArray(asked) && asked.includes(name);
}

/** More than the steps of a run: added to the number of a thought whose step has one already. */
export const AGAIN = 1_000;

/** Thoughts have a number in their run: that of the step they came before. */
export function reasoningId({ run }: Pick<View, 'run'>, number: number): string {
  return itemId('rs', run.id, { threadId: run.thread_id }, number);
}

export function reasoningItem(view: View, id: string, text: string, status: ItemStatus): OutputItem {
  return {
    id,
    type: 'reasoning',
    summary: [],
    content: text === '' ? [] : [{ type: 'reasoning_text', text }],
    encrypted_content: view.seal === null || status === 'in_progress' ? null : view.seal(text),
    status,
  };
}

export const thoughtText = (thoughts: readonly Thought[]): string =>
  thoughts.map(({ text }) => text).join('\n');

export function messageItem(id: string, content: readonly object[], status: ItemStatus): OutputItem {
  return { id, type: 'message', role: 'assistant', status, content };
}

export function textPart(
  text: string,
  annotations: readonly object[],
  logprobs: readonly unknown[] = [],
): object {
  return { type: 'output_text', text, annotations, logprobs };
}

/** An annotation of the Assistants API in the words of this one. */
export function annotationOf(mark: Annotation): object {
  switch (mark.type) {
    case 'file_citation':
      return {
        type: 'file_citation',
        file_id: mark.file_citation.file_id,
        index: mark.start_index,
        filename: '',
      };
    case 'file_path':
      return { type: 'file_path', file_id: mark.file_path.file_id, index: mark.start_index };
    case 'url_citation': {
      const { start_index, end_index, url_citation: cited } = mark;
      return { type: 'url_citation', start_index, end_index, url: cited.url, title: cited.title };
    }
  }
}

/** A message that a run wrote. */
export function writtenMessage({ id, thread_id: threadId, content, status }: Message): OutputItem {
  const parts = content.flatMap((part): object[] => {
    if (part.type !== 'text') return [];
    const { value, annotations } = part.text;
    return [
      textPart(
        value,
        annotations.flatMap((mark) => (isMark(mark) ? [annotationOf(mark)] : [])),
      ),
    ];
  });
  // One without a word has an empty part, as in its stream.
  const shown = content.length === 0 ? [textPart('', [])] : parts;
  return messageItem(itemId('msg', id, { threadId }), shown, status);
}

function isMark(mark: unknown): mark is Annotation {
  return isRecord(mark) && ['file_citation', 'file_path', 'url_citation'].includes(String(mark['type']));
}

/** The prefix of ids of calls, by the type of their items. */
const PREFIXES: Readonly<Record<string, string>> = {
  function_call: 'fc',
  custom_tool_call: 'ctc',
  mcp_call: 'mcp',
  web_search_call: 'ws',
  file_search_call: 'fs',
  code_interpreter_call: 'ci',
  mcp_approval_request: 'mcpr',
};

/** The type of item that a call is. */
function callType(view: View, call: StepCall): string {
  switch (call.type) {
    case 'custom':
      return 'custom_tool_call';
    case 'file_search':
      return 'file_search_call';
    case 'code_interpreter':
      return 'code_interpreter_call';
    case 'approval':
      return 'mcp_approval_request';
    case 'function':
      if (isOfServer(call)) return 'mcp_call';
      if (answererOf(call, view) === 'client') return 'function_call';
      return call.function.name === WEB_SEARCH ? 'web_search_call' : 'mcp_call';
  }
}

/** Whether the call itself says that it was no client's. */
export function isOfServer(call: StepCall): boolean {
  return call.type === 'function' && (call.remote !== undefined || call.approval_request_id !== undefined);
}

/** A call of a step. @param index its place among the step's calls */
export function callItem(
  view: View,
  stepId: string,
  index: number,
  call: StepCall,
  status: ItemStatus,
): OutputItem {
  const type = callType(view, call);
  const id = itemId(PREFIXES[type] ?? 'call', stepId, { threadId: view.run.thread_id }, index);
  // The wire has no status for the question whether a call may be made.
  const fields = callFields(view, type, call);
  return type === 'mcp_approval_request' ? { id, type, ...fields } : { id, type, status, ...fields };
}

/**
 * The items with which an output begins, made before the run: the summary of what was said before, and the tools that servers have
 * shown.
 */
export function openingItems({ run, origin }: View): readonly OutputItem[] {
  const { remotes = [], response } = origin;
  const threadId = run.thread_id;
  const summary = response?.compaction;
  const compacted: readonly OutputItem[] =
    summary === undefined
      ? []
      : [
          {
            id: itemId('cmp', summary.id, { threadId }),
            type: 'compaction',
            encrypted_content: summary.encrypted_content,
          },
        ];
  const listed = remotes.flatMap(({ label, tools, is_listed: isListed }, number) => {
    if (!isListed) return [];
    const id = itemId('mcpl', run.id, { threadId }, number);
    return [
      {
        id,
        type: 'mcp_list_tools',
        server_label: label,
        tools: Object.entries(tools).flatMap(([name, own]) => toolShown(run.tools, name, own)),
        error: null,
      },
    ];
  });
  return [...compacted, ...listed];
}

function toolShown(declared: View['run']['tools'], name: string, own: string): readonly object[] {
  const tool = declared.find((each) => each.type === 'function' && each.function.name === name);
  if (tool?.type !== 'function') return [];
  const { description = '', parameters } = tool.function;
  return [{ name: own, description, input_schema: parameters, annotations: null }];
}

function callFields(view: View, type: string, call: StepCall): Readonly<Record<string, unknown>> {
  const { name, arguments: text } = calledFunction(call);
  switch (type) {
    case 'function_call': {
      const namespace = namespaceOf(view, name);
      return { call_id: call.id, name, arguments: text, ...(namespace !== null && { namespace }) };
    }
    case 'custom_tool_call':
      return { call_id: call.id, name, input: text };
    case 'web_search_call':
      return { action: { type: 'search', query: queryIn(text) } };
    case 'mcp_call':
      return {
        ...serverTool(call),
        arguments: text,
        ...answerIn(call),
        approval_request_id: approvalOf(call),
      };
    case 'mcp_approval_request':
      return { ...serverTool(call), arguments: text };
    default:
      return hostedFields(view, call);
  }
}

/** A tool of a server, as the client knows it. */
function serverTool(call: StepCall): Readonly<Record<string, unknown>> {
  const remote = call.type === 'function' || call.type === 'approval' ? call.remote : undefined;
  return remote === undefined
    ? { server_label: OWN_LABEL, name: calledFunction(call).name }
    : { server_label: remote.server, name: remote.tool };
}

const approvalOf = (call: StepCall): string | null =>
  (call.type === 'function' ? call.approval_request_id : undefined) ?? null;

const failure = z.strictObject({ error: z.string() });

/** What a tool of a server has answered. Its failures are told apart, as clients expect it. */
function answerIn(call: StepCall): { readonly output: string | null; readonly error: string | null } {
  if (isOpenCall(call)) return { output: null, error: null };
  const output = outputOf(call);
  const failed = output.startsWith('{"error":') ? failure.safeParse(parsed(output)) : null;
  return failed?.success === true ? { output: null, error: failed.data.error } : { output, error: null };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function hostedFields(view: View, call: StepCall): Readonly<Record<string, unknown>> {
  if (call.type === 'code_interpreter') {
    const { arguments: written, outputs } = call.code_interpreter;
    const shown = includes(view, 'code_interpreter_call.outputs') ? outputs.map(codeOutput) : null;
    return {
      code: codeIn(written),
      container_id: `cntr_${view.run.id.slice('run_'.length)}`,
      outputs: shown,
    };
  }
  if (call.type !== 'file_search') return {};
  const { results } = call.file_search;
  const withResults = includes(view, 'file_search_call.results') && results !== null;
  return {
    queries: queriesIn(calledFunction(call).arguments),
    results: withResults
      ? results.map((found) => ({
          file_id: found.file_id,
          filename: found.file_name,
          score: found.score,
          text: found.content.map((piece) => piece.text).join('\n'),
          attributes: {},
        }))
      : null,
  };
}

/** A picture is named by its file: this server has no address that shows it without a key. */
function codeOutput(output: CodeOutput): object {
  return output.type === 'logs' ? output : { type: 'image', url: output.image.file_id };
}

/** What was searched for, where the arguments say it. */
function queryIn(text: string): string {
  const given = parsed(text);
  const query = isRecord(given) ? (given['query'] ?? given['q']) : null;
  return typeof query === 'string' ? query : '';
}

/** The namespace in which a client declared a function; null where it is in none. */
function namespaceOf({ origin }: View, name: string): string | null {
  const tools = origin.response?.shown['tools'];
  if (!Array.isArray(tools)) return null;
  for (const tool of tools.filter(isRecord)) {
    const inner: readonly unknown[] = Array.isArray(tool['tools']) ? tool['tools'] : [];
    const isThere = inner.some((each) => isRecord(each) && each['name'] === name);
    if (tool['type'] === 'namespace' && isThere) return String(tool['name']);
  }
  return null;
}

/** What is stored of a run. */
export interface StoredOutput {
  /** Oldest first. */
  readonly steps: readonly RunStep[];
  readonly messages: ReadonlyMap<string, Message>;
  readonly thoughts: ReadonlyMap<string, readonly KeptThought[]>;
}

/** The output of a run as it is stored: what a stream of its log ends with. */
export function outputItems(view: View, { steps, messages, thoughts }: StoredOutput): readonly OutputItem[] {
  // They come with the first event of a worker.
  const items: OutputItem[] = view.run.started_at === null ? [] : [...openingItems(view)];
  let beforeStep = items.length;
  for (const [number, step] of steps.entries()) {
    const preface = steps[number - 1];
    const isAfterWords = step.type === 'tool_calls' && preface !== undefined && isPreface(preface);
    // Words before calls are a step of their own; thoughts came before both, and are kept with the calls.
    const from = isAfterWords ? beforeStep : items.length;
    beforeStep = items.length;
    const thought = thoughtText(thoughts.get(step.id) ?? []);
    if (thought !== '') {
      const id = reasoningId(view, isAfterWords ? number - 1 : number);
      items.splice(from, 0, reasoningItem(view, id, thought, 'completed'));
    }
    items.push(...stepItems(view, step, messages));
  }
  return items;
}

function isPreface({ type, usage, status }: RunStep): boolean {
  return type === 'message_creation' && status === 'completed' && usage?.total_tokens === 0;
}

function stepItems(view: View, step: RunStep, messages: ReadonlyMap<string, Message>): readonly OutputItem[] {
  const { step_details: details } = step;
  if (details.type === 'message_creation') {
    const message = messages.get(details.message_creation.message_id);
    // One that was dropped is gone.
    return message === undefined ? [] : [writtenMessage(message)];
  }
  if (step.status !== 'completed' && step.status !== 'in_progress') return [];
  const status = step.status === 'completed' ? 'completed' : 'in_progress';
  return callsOf(step).map((call, index) => callItem(view, step.id, index, call, status));
}

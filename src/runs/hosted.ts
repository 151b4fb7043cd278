/**
 * The hosted tools: what the worker must be able to do for calls of `file_search` and `code_interpreter`, and what the heart
 * knows of them besides their calls. The worker brings them in; this file has types and pure rules only.
 */
import type { CodeOutput } from './calls/code-interpreter.ts';
import type { HostedAnswer } from './calls/kind.ts';
import type { HostedCall, StepCall } from './calls/kinds.ts';
import type { RunResources } from './event.ts';
import { callsOf } from './parts.ts';
import type { Run, ThreadItem, ToolResources } from './thread.ts';
import type { ToolCall } from './tool.ts';

/** One call of a hosted tool, with what it works on. */
export interface HostedRequest {
  readonly call: HostedCall;
  /** Tells the searches apart that a model sees; its results are cited by it. */
  readonly number: number;
  readonly run: Pick<Run, 'id' | 'model' | 'tools'>;
  readonly resources: RunResources;
  readonly asked: ToolCall;
}

/** What comes of a call: outputs while it runs, and then one answer, or a text for the model that says why there is none. */
export type HostedReply =
  | { readonly type: 'output'; readonly output: CodeOutput }
  | { readonly type: 'answer'; readonly answer: HostedAnswer }
  | { readonly type: 'refusal'; readonly text: string }
  /** The tool cannot be had here at all: the run fails, and its caller reads why. */
  | { readonly type: 'failure'; readonly message: string };

/**
 * Runs one call to its end.
 * @throws the signal's reason when aborted, and nothing else
 */
export type RunHosted = (request: HostedRequest, signal: AbortSignal) => AsyncIterable<HostedReply>;

const NOTHING: RunResources = { vector_store_ids: [], file_ids: [] };

/** What the hosted tools of a run work with. */
export const resourcesOf = ({ resources }: { readonly resources?: RunResources }): RunResources =>
  resources ?? NOTHING;

export function isHosted(call: StepCall): call is HostedCall {
  return call.type === 'file_search' || call.type === 'code_interpreter';
}

const callsIn = (items: readonly ThreadItem[]): readonly StepCall[] =>
  items.flatMap((item) => (item.object === 'thread.run.step' ? callsOf(item) : []));

/** The number of the next search, given what the model sees of the thread. */
export function nextSearch(items: readonly ThreadItem[]): number {
  const numbers = callsIn(items).map((call) => (call.type === 'file_search' ? call.file_search.number : 0));
  return Math.max(0, ...numbers) + 1;
}

/** The pictures that a run has drawn and not yet shown: of its steps since its last message. */
export function undrawn(runId: string, items: readonly ThreadItem[]): readonly string[] {
  const shown = items.findLastIndex(
    (item) => item.object === 'thread.message' && item.run_id === runId && item.status === 'completed',
  );
  const own = items.slice(shown + 1).filter((item) => item.run_id === runId);
  return callsIn(own).flatMap((call) =>
    call.type === 'code_interpreter'
      ? call.code_interpreter.outputs.flatMap((output) =>
          output.type === 'image' ? output.image.file_id : [],
        )
      : [],
  );
}

/** What an answer may refer to: results by how they are cited, and files that code has made by their paths. */
export interface References {
  readonly results: ReadonlyMap<string, string>;
  readonly files: ReadonlyMap<string, string>;
}

/** The references of an answer: files by id. A later file of the same path takes the place of an earlier one. */
export function referencesIn(
  items: readonly ThreadItem[],
  cite: (number: number, index: number) => string,
): References {
  const results = new Map<string, string>();
  const files = new Map<string, string>();
  for (const call of callsIn(items)) {
    if (call.type === 'file_search') {
      const { number } = call.file_search;
      call.file_search.results?.forEach(({ file_id }, index) => results.set(cite(number, index), file_id));
    } else if (call.type === 'code_interpreter') {
      for (const { path, file_id } of call.code_interpreter.files ?? []) files.set(path, file_id);
    }
  }
  return { results, files };
}

/** Of one assistant or thread, for its code. */
const MAX_CODE_FILES = 20;

/** Resources with further files for code. The newest stay where there are too many. */
export function withCodeFiles(resources: ToolResources, fileIds: readonly string[]): ToolResources {
  if (fileIds.length === 0) return resources;
  const all = [...new Set([...(resources.code_interpreter?.file_ids ?? []), ...fileIds])];
  return { ...resources, code_interpreter: { file_ids: all.slice(-MAX_CODE_FILES) } };
}

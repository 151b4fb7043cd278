/**
 * A span of a run's trace: what it is called and which attributes it has, in the words of OpenTelemetry's conventions for
 * generative AI where these have any. Both the trace as JSON and what is exported are made of these.
 */
import { createHash } from 'node:crypto';
import type { BegunNote, ModelNote, OverNote, ToolNote } from './notes.ts';

export type Attributes = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/**
 * `run`: from its creation to its end; `queue`: it waits for a worker; `attempt`: a worker executes it; `model`: a request to a
 * model server; `tool`: a call that the worker makes; `client`: the run waits for the client's outputs.
 */
export type SpanKind = 'run' | 'queue' | 'attempt' | 'model' | 'tool' | 'client';

export interface Span {
  /** 16 hexadecimal digits. */
  readonly id: string;
  /** Null for the run. */
  readonly parent_id: string | null;
  readonly name: string;
  readonly kind: SpanKind;
  /** Unix milliseconds, as all processes of the deployment count them. */
  readonly start_ms: number;
  /** Null while it goes on. */
  readonly end_ms: number | null;
  readonly attributes: Attributes;
  readonly status: 'ok' | 'error' | 'open';
  /** What went wrong, in a word or two. */
  readonly error: string | null;
}

/** The run that spans belong to. */
export interface TracedRun {
  readonly id: string;
  readonly thread_id: string;
  readonly assistant_id: string;
  /** Unix seconds. */
  readonly created_at: number;
}

const digest = (text: string, digits: number): string =>
  createHash('sha256').update(text).digest('hex').slice(0, digits);

/** The id of a trace that no client and no exporter has named: 32 hexadecimal digits. */
export const ownTraceId = (runId: string): string => digest(runId, 32);

/** The id of a span: the same in the trace as JSON and in what is exported. */
export const spanId = (runId: string, ...part: readonly (string | number)[]): string =>
  digest([runId, ...part].join(' '), 16);

/** Unix milliseconds of a time in a note. */
export const timeOf = ({ created_at }: TracedRun, at: number): number => created_at * 1_000 + at;

export function attemptSpan(
  run: TracedRun,
  begun: BegunNote,
  over: Pick<OverNote, 'at' | 'outcome'> | null,
): Span {
  return {
    id: spanId(run.id, begun.begun),
    parent_id: spanId(run.id),
    name: 'invoke_agent',
    kind: 'attempt',
    start_ms: timeOf(run, begun.at),
    ...endOf(run, over?.at),
    attributes: {
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.agent.id': run.assistant_id,
      'gen_ai.conversation.id': run.thread_id,
      'longrun.run.id': run.id,
      'longrun.worker': begun.worker,
      ...(over?.outcome !== undefined && { 'longrun.outcome': over.outcome }),
    },
  };
}

export function modelSpan(run: TracedRun, note: ModelNote): Span {
  const [input, output, cached, reasoning] = note.tokens ?? [];
  const firstMs = note.first === undefined ? null : timeOf(run, note.first);
  return {
    ...inside(run, note),
    name: `chat ${note.model}`,
    kind: 'model',
    attributes: {
      'gen_ai.operation.name': 'chat',
      // How it is asked. Whose server it is, the operator knows by the upstream's name.
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': note.model,
      'gen_ai.request.stream': true,
      ...(note.finish !== undefined && { 'gen_ai.response.finish_reasons': [note.finish] }),
      ...(input !== undefined && { 'gen_ai.usage.input_tokens': input }),
      ...(output !== undefined && { 'gen_ai.usage.output_tokens': output }),
      ...(cached !== undefined && { 'gen_ai.usage.cache_read.input_tokens': cached }),
      ...(reasoning !== undefined && { 'gen_ai.usage.reasoning.output_tokens': reasoning }),
      ...(note.first !== undefined && {
        'gen_ai.response.time_to_first_chunk': (note.first - note.at) / 1_000,
      }),
      ...(firstMs !== null && { 'longrun.first_token_ms': firstMs }),
      'longrun.upstream': note.upstream,
      ...(note.as !== undefined && { 'longrun.upstream.model': note.as }),
      ...(note.again === true && { 'longrun.again': true }),
      ...(note.cut === true && { 'longrun.outcome': 'cancelled' }),
      ...(note.error !== undefined && { 'error.type': note.error }),
    },
  };
}

export function toolSpan(run: TracedRun, note: ToolNote): Span {
  return {
    ...inside(run, note),
    name: `execute_tool ${note.tool}`,
    kind: 'tool',
    attributes: {
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': note.tool,
      'gen_ai.tool.call.id': note.call,
      'longrun.tool.kind': note.kind,
      ...(note.error !== undefined && { 'error.type': note.error }),
    },
  };
}

type Inside = Pick<Span, 'id' | 'parent_id' | 'start_ms' | 'end_ms' | 'status' | 'error'>;

function inside(run: TracedRun, { in: attempt, n, at, until, error }: ModelNote | ToolNote): Inside {
  return {
    id: spanId(run.id, attempt, n),
    parent_id: spanId(run.id, attempt),
    start_ms: timeOf(run, at),
    ...endOf(run, until, error),
  };
}

function endOf(run: TracedRun, until?: number, error?: string): Pick<Span, 'end_ms' | 'status' | 'error'> {
  if (until === undefined) return { end_ms: null, status: 'open', error: null };
  const end_ms = timeOf(run, until);
  return error === undefined ? { end_ms, status: 'ok', error: null } : { end_ms, status: 'error', error };
}

/**
 * The objects that clients see: assistants, threads, messages, runs and run steps, in the shape and with the names of
 * the OpenAI Assistants v2 wire. The wire is this domain's own language, so nothing is renamed on its way in or out
 * (docs/decisions/0002-domain-objects-are-wire-objects.md). Data only; what happens to a run is in run.ts.
 */
import type { DeclaredTool, StepCall } from './calls/kinds.ts';
import type { StoredItem } from './items.ts';

/**
 * Up to 16 pairs that a client attaches to an object; stored and echoed. We read its `backend_id`, `auto_tools` and
 * `expires_after_s`.
 */
export type Metadata = Readonly<Record<string, string>>;

/** A function the model may call. `parameters` is a JSON Schema, passed on untouched. */
export interface FunctionTool {
  readonly type: 'function';
  readonly function: {
    readonly name: string;
    readonly description?: string;
    readonly parameters: Readonly<Record<string, unknown>>;
    readonly strict: boolean;
  };
}

/** A tool whose calls hold free text in place of JSON. `format` may bind the text to a grammar; passed on untouched. */
export interface CustomTool {
  readonly type: 'custom';
  readonly custom: { readonly name: string; readonly description?: string; readonly format?: unknown };
}

/** How results of a search are chosen. */
export interface RankingOptions {
  readonly ranker: string;
  /** Results below this score, 0 to 1, are left out. */
  readonly score_threshold: number;
}

/** The search in the files of the assistant and the thread. */
export interface FileSearchTool {
  readonly type: 'file_search';
  readonly file_search: { readonly max_num_results?: number; readonly ranking_options: RankingOptions };
}

/** The program that runs the model's code. */
export interface CodeInterpreterTool {
  readonly type: 'code_interpreter';
}

/** A tool that an assistant may have. */
export type AssistantTool = FunctionTool | FileSearchTool | CodeInterpreterTool;

/** A tool as a model is offered it. */
export type OfferedTool = FunctionTool | CustomTool;

export type ToolChoice =
  | 'none'
  | 'auto'
  | 'required'
  | { readonly type: 'function'; readonly function: { readonly name: string } }
  | { readonly type: 'custom'; readonly custom: { readonly name: string } }
  | { readonly type: 'file_search' }
  | { readonly type: 'code_interpreter' }
  /** One or any of some of the tools; passed on untouched. */
  | { readonly type: 'allowed_tools'; readonly allowed_tools: Readonly<Record<string, unknown>> };

/** How the model must shape its answer; echoed exactly as the client gave it. */
export type ResponseFormat = 'auto' | Readonly<Record<string, unknown>>;

export interface TruncationStrategy {
  readonly type: 'auto' | 'last_messages';
  readonly last_messages: number | null;
}

/** The files and vector stores that the hosted tools work with. */
export interface ToolResources {
  readonly code_interpreter?: { readonly file_ids: readonly string[] };
  readonly file_search?: { readonly vector_store_ids: readonly string[] };
}

export interface Assistant {
  readonly id: string;
  readonly object: 'assistant';
  readonly created_at: number;
  readonly name: string | null;
  readonly description: string | null;
  readonly model: string;
  readonly instructions: string | null;
  readonly tools: readonly AssistantTool[];
  readonly tool_resources: ToolResources;
  readonly metadata: Metadata;
  readonly temperature: number;
  readonly top_p: number;
  readonly reasoning_effort: string | null;
  readonly response_format: ResponseFormat;
}

export interface Thread {
  readonly id: string;
  readonly object: 'thread';
  readonly created_at: number;
  readonly metadata: Metadata;
  readonly tool_resources: ToolResources;
}

/**
 * The piece of a text that an annotation is about. The indices count UTF-16 units of the whole text; the end is exclusive.
 */
interface Mark {
  readonly start_index: number;
  readonly end_index: number;
}

/** A mark on a text: a file it cites, a file it links to, or a web page it cites. `text` is the piece to replace. */
export type Annotation =
  | (Mark & {
      readonly type: 'file_citation';
      readonly text: string;
      readonly file_citation: { readonly file_id: string; readonly quote?: string };
    })
  | (Mark & {
      readonly type: 'file_path';
      readonly text: string;
      readonly file_path: { readonly file_id: string };
    })
  | (Mark & {
      readonly type: 'url_citation';
      readonly text?: string;
      readonly url_citation: { readonly url: string; readonly title: string };
    });

export interface TextPart {
  readonly type: 'text';
  readonly text: { readonly value: string; readonly annotations: readonly unknown[] };
}

export interface ImageUrlPart {
  readonly type: 'image_url';
  readonly image_url: { readonly url: string; readonly detail: string };
}

/** A picture that lies in a file of the project. */
export interface ImageFilePart {
  readonly type: 'image_file';
  readonly image_file: { readonly file_id: string; readonly detail?: string };
}

export type ContentPart = TextPart | ImageUrlPart | ImageFilePart;

/** A file that comes with a message, and the tools that it is for. */
export interface Attachment {
  readonly file_id: string;
  readonly tools: readonly { readonly type: 'file_search' | 'code_interpreter' }[];
}

/** Why a message stopped short of its end. */
export type IncompleteReason =
  | 'content_filter'
  | 'max_tokens'
  | 'run_cancelled'
  | 'run_expired'
  | 'run_failed';

export interface Message {
  readonly id: string;
  readonly object: 'thread.message';
  readonly created_at: number;
  readonly thread_id: string;
  readonly status: 'in_progress' | 'incomplete' | 'completed';
  readonly incomplete_details: { readonly reason: IncompleteReason } | null;
  readonly completed_at: number | null;
  readonly incomplete_at: number | null;
  readonly role: 'user' | 'assistant';
  readonly content: readonly ContentPart[];
  /** The assistant and run that wrote it; null for messages a client created. */
  readonly assistant_id: string | null;
  readonly run_id: string | null;
  readonly attachments: readonly Attachment[];
  readonly metadata: Metadata;
}

export const RUN_STATUSES = [
  'queued',
  'in_progress',
  'requires_action',
  'cancelling',
  'cancelled',
  'failed',
  'completed',
  'incomplete',
  'expired',
] as const;

export type RunStatus = (typeof RUN_STATUSES)[number];

/** Why a run failed, as the wire says it: one of three codes, and a message that the user can act on. */
export interface RunError {
  readonly code: 'server_error' | 'rate_limit_exceeded' | 'invalid_prompt' | 'context_length_exceeded';
  readonly message: string;
}

/** Why a run failed, for the operator: unlike a {@link RunError}'s message it quotes neither an upstream nor a user. */
export interface FailureFacts {
  /** One or more sentences of our own. */
  readonly reason: string;
  /** The name of the upstream that was asked, or would have been. */
  readonly upstream?: string;
  /** The model's name there. */
  readonly model?: string;
  /** The HTTP status that the upstream answered, in its head or in its stream. */
  readonly status?: number;
  /** The parameter at fault, and the error, as the upstream calls them: names, never words. */
  readonly param?: string;
  readonly code?: string;
}

/** Tokens. The singular `prompt_token_details` is the hosted API's own spelling. */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_token_details: { readonly cached_tokens: number };
  readonly completion_tokens_details: { readonly reasoning_tokens: number };
}

/** A call as a run shows it in `required_action`: the arguments are JSON text, as the model wrote it. */
export interface RequiredFunctionCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
  /** The answer is a decision: whether the server may make the call itself. Missing where it may not. */
  readonly requires_approval?: true;
}

/** A call of a custom tool; the input is any text. */
export interface RequiredCustomCall {
  readonly id: string;
  readonly type: 'custom';
  readonly custom: { readonly name: string; readonly input: string };
}

export type RequiredCall = RequiredFunctionCall | RequiredCustomCall;

export interface Run {
  readonly id: string;
  readonly object: 'thread.run';
  readonly created_at: number;
  readonly assistant_id: string;
  readonly thread_id: string;
  readonly status: RunStatus;
  readonly started_at: number | null;
  readonly expires_at: number | null;
  readonly cancelled_at: number | null;
  readonly failed_at: number | null;
  readonly completed_at: number | null;
  readonly required_action: {
    readonly type: 'submit_tool_outputs';
    readonly submit_tool_outputs: { readonly tool_calls: readonly RequiredCall[] };
  } | null;
  readonly last_error: RunError | null;
  readonly incomplete_details: {
    readonly reason: 'max_completion_tokens' | 'max_prompt_tokens' | 'content_filter';
  } | null;
  readonly model: string;
  /** Never null: strict clients throw on a run without instructions. */
  readonly instructions: string;
  readonly tools: readonly DeclaredTool[];
  readonly tool_resources: ToolResources;
  readonly metadata: Metadata;
  readonly temperature: number;
  readonly top_p: number;
  readonly reasoning_effort: string | null;
  readonly max_completion_tokens: number | null;
  readonly max_prompt_tokens: number | null;
  readonly truncation_strategy: TruncationStrategy;
  /** Null until the run has ended. */
  readonly usage: Usage | null;
  readonly response_format: ResponseFormat;
  readonly tool_choice: ToolChoice;
  readonly parallel_tool_calls: boolean;
}

export type StepDetails =
  | { readonly type: 'message_creation'; readonly message_creation: { readonly message_id: string } }
  | { readonly type: 'tool_calls'; readonly tool_calls: readonly StepCall[] };

export interface RunStep {
  readonly id: string;
  readonly object: 'thread.run.step';
  readonly created_at: number;
  readonly run_id: string;
  readonly assistant_id: string;
  readonly thread_id: string;
  readonly type: 'message_creation' | 'tool_calls';
  readonly status: 'in_progress' | 'cancelled' | 'failed' | 'completed' | 'expired';
  readonly step_details: StepDetails;
  readonly last_error: {
    readonly code: 'server_error' | 'rate_limit_exceeded';
    readonly message: string;
  } | null;
  readonly cancelled_at: number | null;
  readonly completed_at: number | null;
  readonly failed_at: number | null;
  readonly expired_at: number | null;
  /** The run's own, as long as the step may still expire with it. */
  readonly expires_at: number | null;
  readonly metadata: Metadata;
  readonly usage: Usage | null;
}

/**
 * What a thread is made of, in the order it happened: messages, the tool steps between them, and what clients of the Responses
 * API have put beside both.
 */
export type ThreadItem = Message | RunStep | StoredItem;

export const NO_USAGE: Usage = {
  prompt_tokens: 0,
  completion_tokens: 0,
  total_tokens: 0,
  prompt_token_details: { cached_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0 },
};

/** The sum of two usages. A run's usage is the sum of its steps' usages. */
export function addUsage(a: Usage, b: Usage): Usage {
  return {
    prompt_tokens: a.prompt_tokens + b.prompt_tokens,
    completion_tokens: a.completion_tokens + b.completion_tokens,
    total_tokens: a.total_tokens + b.total_tokens,
    prompt_token_details: {
      cached_tokens: a.prompt_token_details.cached_tokens + b.prompt_token_details.cached_tokens,
    },
    completion_tokens_details: {
      reasoning_tokens:
        a.completion_tokens_details.reasoning_tokens + b.completion_tokens_details.reasoning_tokens,
    },
  };
}

/** The text of a message: its text parts, joined by newlines. */
export function textOf(message: Message): string {
  return message.content
    .filter((part) => part.type === 'text')
    .map((part) => part.text.value)
    .join('\n');
}

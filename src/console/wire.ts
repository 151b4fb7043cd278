/** The objects of the public API, as far as the console reads them. */

export interface List<T> {
  readonly data: readonly T[];
  readonly first_id?: string | null;
  readonly last_id?: string | null;
  readonly has_more: boolean;
}

export type Metadata = Readonly<Record<string, string>>;

export interface Assistant {
  readonly id: string;
  readonly object: 'assistant';
  readonly created_at: number;
  readonly name: string | null;
  readonly description: string | null;
  readonly model: string;
  readonly instructions: string | null;
  readonly tools: readonly Tool[];
  readonly tool_resources: ToolResources;
  readonly metadata: Metadata;
  readonly temperature: number | null;
  readonly top_p: number | null;
  readonly reasoning_effort: string | null;
  readonly response_format: unknown;
}

export type Tool =
  | { readonly type: 'code_interpreter' }
  | { readonly type: 'file_search' }
  | { readonly type: 'function'; readonly function: FunctionTool };

export interface FunctionTool {
  readonly name: string;
  readonly description?: string | null;
  readonly parameters?: object | null;
  readonly strict?: boolean | null;
}

export interface ToolResources {
  readonly code_interpreter?: { readonly file_ids: readonly string[] };
  readonly file_search?: { readonly vector_store_ids: readonly string[] };
}

export interface Thread {
  readonly id: string;
  readonly object: 'thread';
  readonly created_at: number;
  readonly metadata: Metadata;
  readonly tool_resources: ToolResources;
}

export interface Message {
  readonly id: string;
  readonly object: 'thread.message';
  readonly created_at: number;
  readonly thread_id: string;
  readonly run_id: string | null;
  readonly assistant_id: string | null;
  readonly role: 'user' | 'assistant';
  readonly status?: 'in_progress' | 'completed' | 'incomplete';
  readonly content: readonly Content[];
  readonly attachments: readonly Attachment[] | null;
  readonly metadata: Metadata;
}

export interface Attachment {
  readonly file_id: string;
  readonly tools?: readonly { readonly type: string }[] | null;
}

export type Content =
  | {
      readonly type: 'text';
      readonly text: { readonly value: string; readonly annotations: readonly Annotation[] };
    }
  | { readonly type: 'image_file'; readonly image_file: { readonly file_id: string } }
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string } };

export interface Annotation {
  readonly type: 'file_citation' | 'file_path' | 'url_citation';
  /** What stands for it in the text. */
  readonly text?: string;
  readonly start_index: number;
  readonly end_index: number;
  readonly file_citation?: { readonly file_id: string; readonly quote?: string };
  readonly file_path?: { readonly file_id: string };
  readonly url_citation?: { readonly url: string; readonly title: string };
}

export type RunStatus =
  | 'queued'
  | 'in_progress'
  | 'requires_action'
  | 'cancelling'
  | 'cancelled'
  | 'failed'
  | 'completed'
  | 'incomplete'
  | 'expired';

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_token_details?: { readonly cached_tokens?: number };
  readonly completion_tokens_details?: { readonly reasoning_tokens?: number };
}

export interface Run {
  readonly id: string;
  readonly object: 'thread.run';
  readonly created_at: number;
  readonly started_at: number | null;
  readonly completed_at: number | null;
  readonly cancelled_at: number | null;
  readonly failed_at: number | null;
  readonly expires_at: number | null;
  readonly thread_id: string;
  readonly assistant_id: string;
  readonly status: RunStatus;
  readonly model: string;
  readonly instructions: string;
  readonly tools: readonly Tool[];
  readonly metadata: Metadata;
  readonly usage: Usage | null;
  readonly last_error: { readonly code: string; readonly message: string } | null;
  readonly incomplete_details: { readonly reason: string } | null;
  readonly required_action: RequiredAction | null;
}

export interface RequiredAction {
  readonly type: string;
  readonly submit_tool_outputs: { readonly tool_calls: readonly FunctionCall[] };
}

export interface FunctionCall {
  readonly id: string;
  readonly type: 'function';
  /** Its output is a decision: `{"approve": true}`, or `{"approve": false, "reason": "…"}`. */
  readonly requires_approval?: boolean;
  /** The call that asked whether this one may be made. */
  readonly approval_request_id?: string;
  readonly function: { readonly name: string; readonly arguments: string; readonly output?: string | null };
}

export interface CodeCall {
  readonly id: string;
  readonly type: 'code_interpreter';
  readonly code_interpreter: { readonly input: string; readonly outputs: readonly CodeOutput[] };
}

export type CodeOutput =
  | { readonly type: 'logs'; readonly logs: string }
  | { readonly type: 'image'; readonly image: { readonly file_id: string } };

export interface SearchCall {
  readonly id: string;
  readonly type: 'file_search';
  readonly file_search: { readonly results?: readonly SearchResult[] };
}

export interface SearchResult {
  readonly file_id: string;
  readonly file_name: string;
  readonly score: number;
  /** Only where it was asked for. */
  readonly content?: readonly { readonly text: string }[];
}

export type StepCall = FunctionCall | CodeCall | SearchCall;

export interface Step {
  readonly id: string;
  readonly object: 'thread.run.step';
  readonly created_at: number;
  readonly run_id: string;
  readonly type: 'message_creation' | 'tool_calls';
  readonly status: 'in_progress' | 'completed' | 'failed' | 'cancelled' | 'expired';
  readonly step_details:
    | { readonly type: 'message_creation'; readonly message_creation: { readonly message_id: string } }
    | { readonly type: 'tool_calls'; readonly tool_calls: readonly StepCall[] };
  readonly last_error: { readonly code: string; readonly message: string } | null;
  readonly usage: Usage | null;
}

export interface StoredFile {
  readonly id: string;
  readonly object: 'file';
  readonly bytes: number;
  readonly created_at: number;
  readonly filename: string;
  readonly purpose: string;
  readonly expires_at?: number | null;
}

export interface VectorStore {
  readonly id: string;
  readonly object: 'vector_store';
  readonly created_at: number;
  readonly name: string | null;
  readonly status: string;
  readonly usage_bytes: number;
  readonly file_counts: Readonly<
    Record<'in_progress' | 'completed' | 'failed' | 'cancelled' | 'total', number>
  >;
  readonly metadata: Metadata | null;
  readonly description?: string | null;
  readonly expires_after: { readonly anchor: string; readonly days: number } | null;
  readonly expires_at: number | null;
  readonly last_active_at: number | null;
}

/** A file in a vector store; its id is that of the file. */
export interface StoreFile {
  readonly id: string;
  readonly object: 'vector_store.file';
  readonly created_at: number;
  readonly usage_bytes: number;
  readonly status: 'in_progress' | 'completed' | 'cancelled' | 'failed';
  readonly last_error: { readonly code: string; readonly message: string } | null;
  readonly attributes: Readonly<Record<string, string | number | boolean>> | null;
}

/** What a search in a vector store finds. */
export interface StoreHit {
  readonly file_id: string;
  readonly filename: string;
  readonly score: number;
  readonly content: readonly { readonly type: string; readonly text: string }[];
}

export interface Model {
  readonly id: string;
  readonly owned_by: string;
}

export interface Plugin {
  readonly name: string;
  readonly description: string;
  readonly parameters: object;
  readonly answered_by: string;
  readonly source: { readonly type: string; readonly from: string };
  readonly health: unknown;
}

/** Whether nothing will happen to the run any more. */
export function hasEnded(status: RunStatus): boolean {
  return !['queued', 'in_progress', 'requires_action', 'cancelling'].includes(status);
}

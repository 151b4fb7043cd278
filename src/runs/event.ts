/**
 * RunEvent: the one vocabulary for everything that happens to a run. Workers and the API write events, protocols read
 * them, and `apply` in run.ts folds them. An event holds only what is new; the fold knows the rest.
 *
 * Names are `noun.past-or-state`. Times are unix seconds in `at`.
 */
import type { Asides } from './asides.ts';
import type { CodeOutput } from './calls/code-interpreter.ts';
import type { HostedAnswer } from './calls/kind.ts';
import type { CallType } from './calls/kinds.ts';
import type { RemoteTool } from './remote.ts';
import { countLogprobs, moreLogprobs, type Logprobs } from './logprobs.ts';
import type { Thought } from './thoughts.ts';
import type { Annotation, IncompleteReason, Run, FailureFacts, RunError, Usage } from './thread.ts';

/** What a run carries besides its wire object, fixed when it is created. */
export interface RunOrigin {
  /** The project every object of the run belongs to. */
  readonly project: string;
  /** The `x-request-id` of the request that created the run; every log line about the run repeats it. */
  readonly request_id: string;
  /** The name of the upstream to ask (the assistant's `metadata.backend_id`); null means the default one. */
  readonly backend_id: string | null;
  /** Tools the worker runs itself, by name; every other call is the client's to answer. */
  readonly server_tools: readonly string[];
  /** Parameters of a chat request that only the upstream understands (`stop`, `seed` …); passed on untouched. */
  readonly passed_on: Readonly<Record<string, unknown>>;
  /** Fields of the request that are no parameters of ours; tools may read them. */
  readonly context: Readonly<Record<string, unknown>>;
  /** Secrets of the request (seal.ts), such as the caller's own upstream key; null when it has none. */
  readonly sealed: string | null;
  /**
   * The run of a request without a thread: its messages are its input, and everything about it expires soon after its end.
   */
  readonly ephemeral: boolean;
  /**
   * How long its caller can wait for a model server that cannot answer yet, in milliseconds; missing: as long as the run
   * lives.
   */
  readonly wait_ms?: number;
  /**
   * Functions that fetch a picture. They are no longer offered once the newest user message of the prompt has one.
   * Missing on runs of older versions.
   */
  readonly offered_until_picture?: readonly string[];
  /** Whether the caller is served without tools as well, as devices are. Missing on runs of older versions. */
  readonly tools_optional?: boolean;
  /** Whether calls that the client must answer end the run; missing: the run waits for their outputs. */
  readonly leaves_calls?: boolean;
  /** Whether a prompt that does not fit ends the run; missing: it is cut. */
  readonly uncut?: boolean;
  /** How many calls of the server's own tools the run may make; missing: any number. */
  readonly max_tool_calls?: number;
  /** The server's tools whose calls wait for an approval, by name; missing: none do. */
  readonly approvals?: readonly string[];
  /** Servers of tools that came with the request; missing where none did. */
  readonly remotes?: readonly RemoteServer[];
  /** What a client of the Responses API is told of its request again; missing on runs of other protocols. */
  readonly response?: ResponseOrigin;
  /** What the hosted tools of the run work with; missing where it has none. */
  readonly resources?: RunResources;
  /**
   * The span of the request that created the run, as the header of W3C Trace Context: all that is exported of the run is of its
   * trace. Missing where nothing is exported.
   */
  readonly traceparent?: string;
  /** Tells whether a repeated chat request means this same turn; null for runs that no chat created. */
  readonly turn_key: string | null;
}

/** A server of tools that came with a request. Its address and what lets into it are among the sealed secrets. */
export interface RemoteServer {
  readonly label: string;
  /** Its tools that the run may call: the server's names for them, by those that the model is offered. */
  readonly tools: Readonly<Record<string, string>>;
  /** Whether its tools were listed for this run; false where what the run goes on from has shown them. */
  readonly is_listed: boolean;
}

/** What a response says of the request that it answers, as far as the run does not. */
export interface ResponseOrigin {
  /** The run of the response that this one continues. */
  readonly previous: string | null;
  /** Whether it was asked for in a conversation, and in the background. */
  readonly in_conversation: boolean;
  readonly background: boolean;
  /** How many items joined the thread directly before the run: those of its input. */
  readonly inputs: number;
  /** The item that stands for what was said before, where that was compacted for this response. */
  readonly compaction?: { readonly id: string; readonly encrypted_content: string };
  /** Fields that are shown as they came. */
  readonly shown: Readonly<Record<string, unknown>>;
}

/** The vector stores that a run searches, the files that its code finds, and whether its stream shows what was found. */
export interface RunResources {
  readonly vector_store_ids: readonly string[];
  readonly file_ids: readonly string[];
}

/** An origin with nothing special about it. */
export const PLAIN_ORIGIN = {
  backend_id: null,
  server_tools: [],
  passed_on: {},
  context: {},
  sealed: null,
  ephemeral: false,
  turn_key: null,
} as const satisfies Omit<RunOrigin, 'project' | 'request_id'>;

type At = { readonly at: number };
/** The usage of the model turn a closing step accounts for; null when there was none or it is not known. */
type Closing = At & { readonly usage: Usage | null };

export type RunEvent =
  /** `messages`: the ids of those that joined the thread together with the run. */
  | (At & {
      readonly type: 'run.queued';
      readonly run: Run;
      readonly origin: RunOrigin;
      readonly messages?: readonly string[];
    })
  /** `worker` names the process that executes the run from now on; older versions left it out. */
  | (At & { readonly type: 'run.started'; readonly worker?: string })
  /** A worker gave the run back (`shutdown`), or was found dead (`lost`). */
  | (At & { readonly type: 'run.released'; readonly reason: 'shutdown' | 'lost' })
  /** The model called tools that the client must answer. `usage` is that turn's, shown when the step completes. */
  | (At & { readonly type: 'run.blocked'; readonly usage: Usage | null })
  /** The client answered. Processes of older versions read `calm_until_ms`, which is always 0 now. */
  | (At & { readonly type: 'run.resumed'; readonly calm_until_ms: number })
  /**
   * What clients sent meanwhile has joined the thread here, by the ids of its messages and items: what the model is asked next
   * has it.
   */
  | (At & { readonly type: 'run.steered'; readonly messages: readonly string[] })
  | (At & { readonly type: 'run.cancelling' })
  | (At & { readonly type: 'run.cancelled' })
  | (At & { readonly type: 'run.completed' })
  | (At & {
      readonly type: 'run.incomplete';
      readonly reason: NonNullable<Run['incomplete_details']>['reason'];
    })
  /**
   * `retry_after_ms`: how long the model server asked not to be called. `facts`: why, for the operator's log. Neither
   * is part of the run; older processes ignore both.
   */
  | (At & {
      readonly type: 'run.failed';
      readonly error: RunError;
      readonly retry_after_ms?: number;
      readonly facts?: FailureFacts;
    })
  | (At & { readonly type: 'run.expired' })
  /** `message_id` names the message the step writes; null opens a step of tool calls. */
  | (At & { readonly type: 'step.created'; readonly step_id: string; readonly message_id: string | null })
  /** `outputs` answers, by call id, the calls the worker did not answer itself; null for a message step. */
  | (Closing & { readonly type: 'step.completed'; readonly outputs: Readonly<Record<string, string>> | null })
  /** Its open calls are left to whoever goes on with the thread: their outputs come as items of a later run. */
  | (Closing & { readonly type: 'step.left' })
  | (Closing & { readonly type: 'step.failed'; readonly error: RunError })
  | (Closing & { readonly type: 'step.cancelled' })
  | (Closing & { readonly type: 'step.expired' })
  /**
   * Takes back the words that came before the calls of a lost worker: their completed step becomes failed and its
   * message leaves the thread, because the run will produce both again.
   */
  | (At & { readonly type: 'step.dropped'; readonly error: RunError })
  /** `images`: the files of pictures that stand before its words. */
  | (At & {
      readonly type: 'message.created';
      readonly message_id: string;
      readonly images?: readonly string[];
    })
  /**
   * `annotations` of the message's text, in addition to earlier ones, and the `logprobs` of its tokens; missing where
   * there are none. Neither changes what is said, and older processes ignore logprobs.
   */
  | {
      readonly type: 'message.delta';
      readonly text: string;
      readonly annotations?: readonly Annotation[];
      readonly logprobs?: Logprobs;
    }
  /** What the model thinks, and the field in which its server sent it. It belongs to the completion under way. */
  | (Thought & { readonly type: 'thought.delta' })
  /** The thoughts of this completion led to nothing: the server is asked again. */
  | { readonly type: 'thought.dropped' }
  /** What the model server said beside its words or calls, once the completion is whole. It belongs to the open step. */
  | { readonly type: 'asides.told'; readonly asides: Asides }
  | (At & { readonly type: 'message.completed' })
  /** `dropped`: the unfinished message leaves the thread, because its run will write it again under another id. */
  | (At & {
      readonly type: 'message.incomplete';
      readonly reason: IncompleteReason;
      readonly dropped: boolean;
    })
  /**
   * `kind`: of the call (calls/kinds.ts); without it, a function's. `approval`: the approval that lets it be made, by the id of
   * the call or item that asked for it. `remote`: the tool, where it is of a server that came with the request.
   */
  | {
      readonly type: 'tool.called';
      readonly index: number;
      readonly call_id: string;
      readonly name: string;
      readonly kind?: CallType;
      readonly approval?: string;
      readonly remote?: RemoteTool;
    }
  | { readonly type: 'tool.delta'; readonly index: number; readonly arguments: string }
  /** A call that the worker runs has printed or drawn this. */
  | { readonly type: 'tool.output'; readonly index: number; readonly output: CodeOutput }
  /** The worker ran the call itself. `answer`: of a hosted tool. */
  | {
      readonly type: 'tool.answered';
      readonly index: number;
      readonly output: string;
      readonly answer?: HostedAnswer;
    };

export type RunEventType = RunEvent['type'];

/** A fragment: it only adds text to what is open, so fragments may be merged and committed in groups. */
export function isDelta(
  event: RunEvent,
): event is Extract<RunEvent, { type: 'message.delta' | 'thought.delta' | 'tool.delta' }> {
  return event.type === 'message.delta' || event.type === 'thought.delta' || event.type === 'tool.delta';
}

/** A fragment of this length is not extended, so that a reader that takes a few events never holds much. */
const MAX_MERGED_LENGTH = 8_192;
/** Nor is one with the logprobs of this many tokens, each of which may name twenty others. */
const MAX_MERGED_LOGPROBS = 64;

/** Appends `event` to `events`, merged into the last one where both are fragments of the same text. */
export function pushMerged(events: RunEvent[], event: RunEvent): void {
  const last = events.at(-1);
  if (
    last?.type === 'message.delta' &&
    event.type === 'message.delta' &&
    last.text.length < MAX_MERGED_LENGTH &&
    countLogprobs(last.logprobs) < MAX_MERGED_LOGPROBS
  ) {
    events[events.length - 1] = joined(last, event);
  } else if (
    last?.type === 'tool.delta' &&
    event.type === 'tool.delta' &&
    last.index === event.index &&
    last.arguments.length < MAX_MERGED_LENGTH
  ) {
    events[events.length - 1] = { ...last, arguments: last.arguments + event.arguments };
  } else if (
    last?.type === 'thought.delta' &&
    event.type === 'thought.delta' &&
    last.field === event.field &&
    last.text.length < MAX_MERGED_LENGTH
  ) {
    events[events.length - 1] = { ...last, text: last.text + event.text };
  } else {
    events.push(event);
  }
}

type TextEvent = Extract<RunEvent, { type: 'message.delta' }>;

/** A fragment of the answer, with its logprobs where the caller asked for them: some servers send them unasked. */
export function textEvent(
  { text, logprobs }: Omit<TextEvent, 'type' | 'annotations'>,
  { passed_on: { logprobs: isAsked } }: Pick<RunOrigin, 'passed_on'>,
): TextEvent {
  return { type: 'message.delta', text, ...(isAsked === true && logprobs !== undefined && { logprobs }) };
}

function joined(first: TextEvent, second: TextEvent): TextEvent {
  const text = first.text + second.text;
  const annotations = [...(first.annotations ?? []), ...(second.annotations ?? [])];
  const logprobs = moreLogprobs(first.logprobs, second.logprobs);
  return {
    type: 'message.delta',
    text,
    ...(annotations.length > 0 && { annotations }),
    ...(logprobs !== undefined && { logprobs }),
  };
}

/**
 * Tools of servers that come with a request: which call goes to which of them, and what the worker must be able to do. The worker
 * brings it in; this file has types and pure rules only.
 */
import type { RunOrigin } from './event.ts';
import type { JsonSchema, ToolCall } from './tool.ts';

/** A tool of a server that came with the request, by the server's label and its own name for it. */
export interface RemoteTool {
  readonly server: string;
  readonly tool: string;
}

/** Where a server is, and the headers that let into it. Secret. */
export interface RemoteTarget {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A tool as its server describes it. */
export interface RemoteListing {
  /** The server's own name for it. */
  readonly name: string;
  readonly description: string;
  readonly parameters: JsonSchema;
  readonly annotations: Readonly<Record<string, unknown>> | null;
  /** Whether the server says that it changes nothing. */
  readonly isReadOnly: boolean;
}

/** What a server answers to the question for its tools. `reason` is a sentence about the server, for the caller of this one. */
export type RemoteTools =
  | { readonly type: 'tools'; readonly tools: readonly RemoteListing[] }
  | { readonly type: 'unavailable'; readonly reason: string };

/** One call of such a tool. */
export interface RemoteRequest extends RemoteTool {
  /** The arguments as the model wrote them. */
  readonly written: string;
  readonly asked: ToolCall;
  /** The secrets of the request, with the address of the server. */
  readonly sealed: string;
}

/**
 * Runs one call to its end and answers with JSON for the model, errors included.
 * @throws the signal's reason when aborted, and nothing else.
 */
export type RunRemote = (request: RemoteRequest, signal: AbortSignal) => Promise<unknown>;

/** The tool that the model is offered by this name; null where it is of no such server. */
export function remoteTool({ remotes = [] }: Pick<RunOrigin, 'remotes'>, name: string): RemoteTool | null {
  for (const { label, tools } of remotes) {
    const tool = Object.hasOwn(tools, name) ? tools[name] : undefined;
    if (tool !== undefined) return { server: label, tool };
  }
  return null;
}

/** What a tool's process and the one that owns it say to each other. Plain data, sent as JSON. */
import type { ToolCall } from '../../runs/tool.ts';
import type { ToolDescription } from '../definition.ts';

/** What one call may write to the log. */
export const MAX_LOG_LINES = 20;

/** One call, as the process is asked to answer it. */
export interface CallRequest {
  readonly file: string;
  readonly args: unknown;
  readonly call: ToolCall;
  readonly settings: Readonly<Record<string, unknown>>;
  /** After this the tool's signal is aborted; soon after, its process is ended. */
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  /** Hosts that the operator has allowed tools to reach. */
  readonly allowHosts: readonly string[];
}

/** How a request ended. `arguments` and `refused` are words for the model, `failed` for the log. */
export type Outcome =
  | { readonly type: 'described'; readonly description: ToolDescription }
  | { readonly type: 'answered'; readonly value: unknown }
  | { readonly type: 'arguments' | 'refused'; readonly message: string }
  | { readonly type: 'failed'; readonly message: string; readonly stack: string };

/** What the process says while it works. */
export type ChildEvent =
  /** The request has its turn: its time runs from here. */
  | { readonly type: 'started'; readonly pid: number }
  | {
      readonly type: 'log';
      readonly level: 'info' | 'warn';
      readonly fields: Readonly<Record<string, unknown>>;
      readonly message: string;
    }
  /** A process that is spent takes no further request, and is to be ended. */
  | { readonly type: 'settled'; readonly outcome: Outcome; readonly isSpent: boolean }
  /** What was written to its standard streams past the console. */
  | { readonly type?: undefined; readonly stdout?: string; readonly stderr?: string };

/**
 * Bounds for servers that come with requests. Anybody may run one, to harm us as well: what it sends must fit into little memory,
 * cost little time to read, and make us send little.
 */
import type { JSONRPCMessage } from '@modelcontextprotocol/client';
import { isRecord } from '../../runs/record.ts';
import { Broken } from './broken.ts';

/** Of one answer. Parsed JSON can take twenty times as much memory. */
export const FOREIGN_MESSAGE_BYTES = 512 * 1024;
/** Of all pages of a list of tools, with the parts that are not kept. */
export const FOREIGN_LIST_BYTES = 2 * 1024 * 1024;
/** Of the tools that are kept. */
export const FOREIGN_KEPT_BYTES = 512 * 1024;

/** We answer each request with one of ours. A server that looks after a long call asks every few seconds. */
const REQUESTS = 20;
const REQUEST_PAUSE_MS = 5_000;
const NOTIFICATIONS = 500;
const NOTIFICATION_PAUSE_MS = 200;

const HINTS = ['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint'];

/** What a tool is offered and called by. Not its output schema: a pattern can take for ever, and so can compiling one. */
export function foreignPart(tool: unknown): unknown {
  if (!isRecord(tool)) return tool;
  const { name, title, description, inputSchema, annotations } = tool;
  return {
    name,
    ...(title !== undefined && { title }),
    ...(description !== undefined && { description }),
    inputSchema,
    ...(isRecord(annotations) && { annotations: hintsOf(annotations) }),
  };
}

function hintsOf(annotations: Readonly<Record<string, unknown>>): Readonly<Record<string, boolean>> {
  const hints: Record<string, boolean> = {};
  for (const name of HINTS) {
    const hint = annotations[name];
    if (typeof hint === 'boolean') hints[name] = hint;
  }
  return hints;
}

/** How much one server may say without having been asked. */
export class Hearing {
  readonly #requests = new Allowance(REQUESTS, REQUEST_PAUSE_MS);
  readonly #notifications = new Allowance(NOTIFICATIONS, NOTIFICATION_PAUSE_MS);
  #isOver = false;

  /**
   * Whether the message is to be heard.
   * @throws {Broken} at the first one that is too much; those that follow are not heard.
   */
  hears(message: JSONRPCMessage): boolean {
    if (this.#isOver) return false;
    // The answers to our own requests have no method.
    if (!('method' in message)) return true;
    const isRequest = 'id' in message;
    if ((isRequest ? this.#requests : this.#notifications).take()) return true;
    this.#isOver = true;
    throw new Broken(
      isRequest ? 'It sends too many requests of its own.' : 'It sends too many notifications.',
    );
  }
}

/** So many at once, and one more after each pause. */
class Allowance {
  readonly #most: number;
  readonly #pauseMs: number;
  #left: number;
  #filledMs = performance.now();

  constructor(most: number, pauseMs: number) {
    this.#most = most;
    this.#pauseMs = pauseMs;
    this.#left = most;
  }

  take(): boolean {
    const nowMs = performance.now();
    this.#left = Math.min(this.#most, this.#left + (nowMs - this.#filledMs) / this.#pauseMs);
    this.#filledMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

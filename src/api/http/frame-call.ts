/** A message of a WebSocket as a request: it has an id of its own, and is of the caller whose connection it is. */
import type { z } from 'zod';
import type { Logger } from '../../log.ts';
import { newId, type NewId } from '../../runs/ids.ts';
import type { Caller, Identity } from '../../turns/caller.ts';
import { Identified } from './identity.ts';
import { parseJson } from './json-text.ts';
import { validate } from './validate.ts';

export class FrameCall extends Identified implements Caller {
  readonly log: Logger;
  readonly gone: AbortSignal;
  readonly url: string;
  readonly text: string;
  readonly said: readonly string[];
  /** A connection tells what was answered; nothing is sent again over it. */
  readonly idempotencyKey: string | null = null;
  readonly retries: number | null = null;
  newId: NewId = newId;
  readonly #strict: boolean;
  readonly #release: () => void;

  /**
   * @param release gives back what the message holds
   */
  constructor(
    identity: Identity,
    { log, gone, url }: Pick<Caller, 'log' | 'gone' | 'url'>,
    {
      text,
      strict,
      release,
    }: { readonly text: string; readonly strict: boolean; readonly release: () => void },
  ) {
    const requestId = newId('req');
    super({ ...identity, requestId });
    this.log = log.child({ request_id: requestId });
    this.gone = gone;
    this.url = url;
    this.text = text;
    this.said = [text];
    this.#strict = strict;
    this.#release = release;
  }

  /** The message as JSON. @throws {ApiError} 400 for what does not parse. */
  json(): unknown {
    return parseJson(this.text);
  }

  /** The body that a message has, checked. @throws {ApiError} 400 for what does not fit. */
  body<T>(schema: z.ZodType<T>, given: unknown): T {
    return validate(schema, given, this.#strict);
  }

  onUndelivered(listener: () => void): void {
    if (this.gone.aborted) listener();
    else this.gone.addEventListener('abort', listener, { once: true });
  }

  /** What it holds counts with its connection. */
  waits(): void {}

  release(): void {
    this.#release();
  }
}

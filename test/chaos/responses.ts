/**
 * The clients of the Responses API. One streams, answers the calls of each response in the next, and goes on reading where it was
 * cut off, at another API process. One polls what is made in the background, cancels some of it, and forks the end.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type OpenAI from 'openai';
import { readUntil, type OfficialSdk } from './official.ts';
import { FORKS, forkQuestionOf, questionOf, toolOf, type RunPlan } from './plan.ts';

export type ResponseEvent = OpenAI.Responses.ResponseStreamEvent;
type Response = OpenAI.Responses.Response;
type Body = OpenAI.Responses.ResponseCreateParamsNonStreaming;

/** A response as its client met it. */
export interface Answered {
  readonly id: string;
  /** Which turn of its plan it was; the forks count on. */
  readonly turn: number;
  /** What it brought: the words of the user, or the outputs of calls. */
  readonly input: readonly string[];
  readonly conversation: string | null;
  /** What was heard of it, over as many connections as it took; null for one that was polled. */
  readonly events: readonly ResponseEvent[] | null;
  /** How its client saw it end; null for a client that gave up. */
  ended: Response | null;
}

/** What a response goes on from. */
interface Before {
  readonly conversation: string | null;
  readonly previous: string | null;
}

interface Asking extends Before {
  readonly turn: number;
  readonly input: string | readonly Output[];
}

type Output = { readonly type: 'function_call_output'; readonly call_id: string; readonly output: string };

const POLL_MS = 500;
/** A model fails once in a plan at most. */
const TRIES = 2;
const ENDS = new Set(['response.completed', 'response.incomplete', 'response.failed']);

export const endsStream = ({ type }: Pick<ResponseEvent, 'type'>): boolean => ENDS.has(type);

export class ResponsesClient {
  readonly #plan: RunPlan;
  readonly #sdk: OfficialSdk;
  readonly #answered: Answered[];

  /** @param answered gets every response that the client is promised */
  constructor(plan: RunPlan, sdk: OfficialSdk, answered: Answered[]) {
    this.#plan = plan;
    this.#sdk = sdk;
    this.#answered = answered;
  }

  /** Every other plan talks in a conversation, the others go on from response to response. */
  async stream(): Promise<void> {
    const conversation = this.#plan.index % 2 === 0 ? await this.#conversation() : null;
    await this.#allTurns({ conversation, previous: null }, async (asking) => this.#streamed(asking));
  }

  async poll(): Promise<void> {
    const last = await this.#allTurns({ conversation: null, previous: null }, async (asking) =>
      this.#polled(asking, asking.turn === 0 && this.#plan.cancels),
    );
    const forks = Array.from({ length: FORKS }, async (_, fork) =>
      this.#again(
        {
          conversation: null,
          previous: last.id,
          turn: this.#plan.turns.length + fork,
          input: forkQuestionOf(this.#plan, fork),
        },
        async (asking) => this.#polled(asking, false),
      ),
    );
    await Promise.all(forks);
  }

  async #conversation(): Promise<string> {
    return (await this.#sdk.ask((client, options) => client.conversations.create({}, options))).id;
  }

  /** Asks, and answers calls until there are none; the last response. */
  async #allTurns(before: Before, ask: (asking: Asking) => Promise<Response>): Promise<Response> {
    let asking: Asking = { ...before, turn: 0, input: questionOf(this.#plan) };
    for (;;) {
      const response = await this.#again(asking, ask);
      const outputs = response.output.filter((item) => item.type === 'function_call').map(answerTo);
      if (response.status !== 'completed' || outputs.length === 0) return response;
      const previous = before.conversation === null ? response.id : null;
      asking = { ...before, previous, turn: asking.turn + 1, input: outputs };
    }
  }

  /** A response that failed is asked for again, from where it was asked for. */
  async #again(asking: Asking, ask: (asking: Asking) => Promise<Response>): Promise<Response> {
    for (let tries = 1; ; tries += 1) {
      const response = await ask(asking);
      if (response.status !== 'failed' || tries === TRIES) return response;
    }
  }

  async #streamed(asking: Asking): Promise<Response> {
    const body = { ...this.#body(asking), background: this.#plan.index % 4 < 2, stream: true } as const;
    const key = randomUUID();
    const events: ResponseEvent[] = [];
    for (let connection = 0; ; connection += 1) {
      const [first] = events;
      const id = first?.type === 'response.created' ? first.response.id : '';
      const starting_after = events.at(-1)?.sequence_number ?? 0;
      const stream = await this.#sdk.ask<AsyncIterable<ResponseEvent>>(
        (client, options) =>
          first === undefined
            ? client.responses.create(body, options)
            : client.responses.retrieve(id, { stream: true, starting_after }, options),
        key,
      );
      const wanted = events.length + (this.#plan.cuts[connection] ?? Infinity);
      await readUntil(stream, (event) => {
        if (events.length === 0) this.#promised(asking, idIn(event), events);
        events.push(event);
        return endsStream(event) || events.length >= wanted;
      });
      const last = events.at(-1);
      if (last !== undefined && 'response' in last && endsStream(last)) return this.#ended(last.response);
    }
  }

  async #polled(asking: Asking, cancels: boolean): Promise<Response> {
    const body = { ...this.#body(asking), background: true };
    let response = await this.#sdk.ask<Response>((client, options) => client.responses.create(body, options));
    const { id } = response;
    this.#promised(asking, id, null);
    if (cancels) {
      await delay(this.#plan.cancelAfterMs);
      response = await this.#sdk.ask((client, options) => client.responses.cancel(id, options));
    }
    while (response.status === 'queued' || response.status === 'in_progress') {
      await delay(POLL_MS);
      response = await this.#sdk.ask<Response>((client, options) =>
        client.responses.retrieve(id, {}, options),
      );
    }
    return this.#ended(response);
  }

  #body({ conversation, previous, input }: Asking): Body {
    return {
      model: 'm',
      input: typeof input === 'string' ? input : [...input],
      tools: [{ type: 'function', name: toolOf(this.#plan), parameters: { type: 'object' }, strict: false }],
      ...(conversation !== null && { conversation }),
      ...(previous !== null && { previous_response_id: previous }),
    };
  }

  #promised(
    { turn, input, conversation }: Asking,
    id: string,
    events: readonly ResponseEvent[] | null,
  ): void {
    const said = typeof input === 'string' ? [input] : input.map(({ output }) => output);
    this.#answered.push({ id, turn, input: said, conversation, events, ended: null });
  }

  #ended(response: Response): Response {
    const answered = this.#answered.find(({ id }) => id === response.id);
    if (answered !== undefined) answered.ended = response;
    return response;
  }
}

const idIn = (event: ResponseEvent): string => ('response' in event ? event.response.id : '');

const answerTo = ({ call_id }: OpenAI.Responses.ResponseFunctionToolCall): Output => ({
  type: 'function_call_output',
  call_id,
  output: `answer to ${call_id}`,
});

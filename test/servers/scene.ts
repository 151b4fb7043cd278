/** One check's surroundings: a Longrun before a server, a client of it, and what all checks ask. */
import OpenAI from 'openai';
import { setTimeout as delay } from 'node:timers/promises';
import type { Running, Target } from './target.ts';

/** A check that says nothing about Longrun here, and why. */
export class NotPossible extends Error {}

export type Run = OpenAI.Beta.Threads.Runs.Run;
type RunParams = Partial<OpenAI.Beta.Threads.Runs.RunCreateParamsNonStreaming>;
/** What is said in a thread before its first run. */
export type Said = readonly (readonly [role: 'user' | 'assistant', text: string])[];

const LOOK_EVERY_MS = 200;
/** Texts of such models go on for ever, unless they are told when to stop. */
const SHORT = { max_completion_tokens: 12, temperature: 0.1 } as const;

export interface SceneOptions {
  readonly target: Target;
  readonly running: Running;
  /** Longrun's origin. */
  readonly url: string;
  /** Ends every request of the check. */
  readonly signal: AbortSignal;
  readonly silentS: number;
}

export class Scene {
  readonly target: Target;
  readonly running: Running;
  readonly url: string;
  readonly signal: AbortSignal;
  /** How long the server says nothing where a check makes it silent, in seconds. */
  readonly silentS: number;
  readonly client: OpenAI;

  constructor({ target, running, url, signal, silentS }: SceneOptions) {
    this.target = target;
    this.running = running;
    this.url = url;
    this.signal = signal;
    this.silentS = silentS;
    this.client = new OpenAI({
      baseURL: `${url}/v1`,
      apiKey: 'none',
      maxRetries: 0,
      fetch: (address, init) =>
        fetch(address, {
          ...init,
          signal: init?.signal ? AbortSignal.any([init.signal, signal]) : signal,
        }),
    });
  }

  get runs(): OpenAI.Beta.Threads.Runs {
    return this.client.beta.threads.runs;
  }

  async assistant(): Promise<string> {
    return (await this.client.beta.assistants.create({ model: this.running.model })).id;
  }

  async thread(...said: Said): Promise<string> {
    const messages = said.map(([role, content]) => ({ role, content }));
    return (await this.client.beta.threads.create({ messages })).id;
  }

  /** Creates a run and waits for its end, or until it wants something. */
  async poll(threadId: string, params: RunParams = {}): Promise<Run> {
    const assistant_id = await this.assistant();
    return this.runs.createAndPoll(threadId, { assistant_id, ...SHORT, ...params });
  }

  /** What the run has said. */
  async textOf(run: Run): Promise<string> {
    const { data } = await this.client.beta.threads.messages.list(run.thread_id, { run_id: run.id });
    return data
      .toReversed()
      .flatMap(({ content }) => content.map((part) => (part.type === 'text' ? part.text.value : '')))
      .join('');
  }

  /** Runs in the thread and expects an answer with words. @throws with the reason when there is none. */
  async answers(threadId: string, params: RunParams = {}): Promise<Run> {
    const run = await this.poll(threadId, params);
    expectEnded(run);
    const text = await this.textOf(run);
    if (text.trim() === '') throw new Error(`the run is ${run.status} without a word`);
    return run;
  }

  /** Waits until `fits`. @throws when it takes longer than `seconds`. */
  async until(what: string, seconds: number, fits: () => Promise<boolean>): Promise<void> {
    const lastMs = performance.now() + seconds * 1_000;
    while (!(await fits())) {
      if (performance.now() > lastMs) throw new Error(`${what}: not within ${seconds} s`);
      await delay(LOOK_EVERY_MS, undefined, { signal: this.signal });
    }
  }

  /** POSTs a chat request, to the endpoint of chats unless `path` says another. @throws what a refusal says. */
  async chat(body: object, { signal = this.signal, path = '/v1/chat/completions' } = {}): Promise<Response> {
    const response = await fetch(`${this.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: this.running.model, ...body }),
      signal,
    });
    if (!response.ok) throw new Error(`a chat is answered ${response.status}: ${await response.text()}`);
    return response;
  }
}

/** @throws unless the run has ended with an answer, be it one that was cut at the tokens it may have. */
export function expectEnded(run: Run): void {
  if (run.status === 'completed') return;
  if (run.status === 'incomplete' && run.incomplete_details?.reason === 'max_completion_tokens') return;
  throw new Error(`the run is ${run.status}: ${run.last_error?.message ?? 'no reason given'}`);
}

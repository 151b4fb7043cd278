/**
 * The official Node SDKs behind one set of verbs, so that one scenario runs with every major version. Only their
 * differences are written here: version 4 takes ids one after the other; later versions take the innermost id first and
 * the others by name.
 */
import * as OpenAI4 from 'openai-v4';
import * as OpenAI5 from 'openai-v5';
import * as OpenAI6 from 'openai-v6';
import * as OpenAI7 from 'openai';

type Assistant = OpenAI7.OpenAI.Beta.Assistant;
export type Event = OpenAI7.OpenAI.Beta.AssistantStreamEvent;
type Message = OpenAI7.OpenAI.Beta.Threads.Message;
type Run = OpenAI7.OpenAI.Beta.Threads.Run;
type RunStep = OpenAI7.OpenAI.Beta.Threads.Runs.RunStep;
type Thread = OpenAI7.OpenAI.Beta.Thread;

export interface AssistantBody {
  readonly model: string;
  readonly instructions?: string;
  readonly tools?: { type: 'function'; function: { name: string; parameters?: Record<string, unknown> } }[];
}

export interface MessageBody {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

export interface RunBody {
  readonly assistant_id: string;
  readonly instructions?: string;
  readonly metadata?: Record<string, string>;
}

export interface PageQuery {
  readonly limit?: number;
  readonly order?: 'asc' | 'desc';
  readonly after?: string;
  readonly before?: string;
}

type Outputs = { tool_call_id: string; output: string }[];

/** A run's stream: its raw events, and what the SDK has made of them by the end. */
export interface Stream extends AsyncIterable<Event> {
  finalRun(): Promise<Run>;
  finalMessages(): Promise<Message[]>;
  finalRunSteps(): Promise<RunStep[]>;
}

/** The first page when awaited, every item when iterated. */
export interface Pages<Item> extends PromiseLike<{ readonly data: Item[] }>, AsyncIterable<Item> {}

/** A client of one SDK version. */
export interface Client {
  createAssistant(body: AssistantBody): PromiseLike<Assistant>;
  retrieveAssistant(assistantId: string): PromiseLike<Assistant>;
  deleteAssistant(assistantId: string): PromiseLike<{ readonly deleted: boolean }>;
  listAssistants(query?: PageQuery): Pages<Assistant>;
  createThread(messages?: MessageBody[]): PromiseLike<Thread>;
  deleteThread(threadId: string): PromiseLike<{ readonly deleted: boolean }>;
  createMessage(threadId: string, body: MessageBody): PromiseLike<Message>;
  retrieveMessage(threadId: string, messageId: string): PromiseLike<Message>;
  listMessages(threadId: string, query?: PageQuery): Pages<Message>;
  retrieveRun(threadId: string, runId: string): PromiseLike<Run>;
  listRuns(threadId: string, query?: PageQuery): Pages<Run>;
  cancelRun(threadId: string, runId: string): PromiseLike<Run>;
  poll(threadId: string, runId: string): PromiseLike<Run>;
  createAndPoll(threadId: string, body: RunBody): PromiseLike<Run>;
  stream(threadId: string, body: RunBody): Stream;
  submitAndPoll(threadId: string, runId: string, outputs: Outputs): PromiseLike<Run>;
  submitAndStream(threadId: string, runId: string, outputs: Outputs): Stream;
  createThreadAndPoll(body: RunBody & { thread: { messages: MessageBody[] } }): PromiseLike<Run>;
  createThreadAndStream(body: RunBody & { thread: { messages: MessageBody[] } }): Stream;
  retrieveStep(threadId: string, runId: string, stepId: string): PromiseLike<RunStep>;
  listSteps(threadId: string, runId: string, query?: PageQuery): Pages<RunStep>;
}

type ErrorClass = new (...args: never[]) => Error;

export interface Sdk {
  readonly name: string;
  readonly connect: (baseURL: string, apiKey: string) => Client;
  /** Whether a streamed message's snapshot takes over the last event; before version 7 it stays `in_progress`. */
  readonly closesMessages: boolean;
  readonly errors: { readonly 400: ErrorClass; readonly 401: ErrorClass; readonly 404: ErrorClass };
}

// A retry would hide a wrong status: 409 and 5xx are repeated silently.
const options = { maxRetries: 0 };

export const SDKS: readonly Sdk[] = [
  {
    name: 'openai 7',
    closesMessages: true,
    connect: (baseURL, apiKey) => modern(new OpenAI7.OpenAI({ baseURL, apiKey, ...options })),
    errors: { 400: OpenAI7.BadRequestError, 401: OpenAI7.AuthenticationError, 404: OpenAI7.NotFoundError },
  },
  {
    name: 'openai 6',
    closesMessages: false,
    connect: (baseURL, apiKey) => modern(new OpenAI6.OpenAI({ baseURL, apiKey, ...options })),
    errors: { 400: OpenAI6.BadRequestError, 401: OpenAI6.AuthenticationError, 404: OpenAI6.NotFoundError },
  },
  {
    name: 'openai 5',
    closesMessages: false,
    connect: (baseURL, apiKey) => modern(new OpenAI5.OpenAI({ baseURL, apiKey, ...options })),
    errors: { 400: OpenAI5.BadRequestError, 401: OpenAI5.AuthenticationError, 404: OpenAI5.NotFoundError },
  },
  {
    name: 'openai 4',
    closesMessages: false,
    connect: (baseURL, apiKey) => legacy(new OpenAI4.OpenAI({ baseURL, apiKey, ...options })),
    errors: { 400: OpenAI4.BadRequestError, 401: OpenAI4.AuthenticationError, 404: OpenAI4.NotFoundError },
  },
];

/** The same SDKs through their `AzureOpenAI` classes, which call the same server under `/openai`. */
export const AZURE_SDKS: readonly Sdk[] = [
  azure('7', (to) => modern(new OpenAI7.AzureOpenAI(to))),
  azure('6', (to) => modern(new OpenAI6.AzureOpenAI(to))),
  azure('5', (to) => modern(new OpenAI5.AzureOpenAI(to))),
  azure('4', (to) => legacy(new OpenAI4.AzureOpenAI(to))),
];

interface AzureServer {
  readonly endpoint: string;
  readonly apiKey: string;
  readonly apiVersion: string;
  readonly maxRetries: number;
}

function azure(major: string, connect: (to: AzureServer) => Client): Sdk {
  const plain = SDKS.find(({ name }) => name === `openai ${major}`);
  if (plain === undefined) throw new Error(`there is no openai ${major}`);
  return {
    ...plain,
    name: `AzureOpenAI of openai ${major}`,
    connect: (baseURL, apiKey) =>
      connect({ endpoint: new URL(baseURL).origin, apiKey, apiVersion: '2024-05-01-preview', ...options }),
  };
}

function modern(client: OpenAI5.OpenAI | OpenAI6.OpenAI | OpenAI7.OpenAI): Client {
  const { assistants, threads } = client.beta;
  const { messages, runs } = threads;
  return {
    createAssistant: (body) => assistants.create(body),
    retrieveAssistant: (id) => assistants.retrieve(id),
    deleteAssistant: (id) => assistants.delete(id),
    listAssistants: (query) => assistants.list(query),
    createThread: (first) => threads.create(first && { messages: first }),
    deleteThread: (id) => threads.delete(id),
    createMessage: (threadId, body) => messages.create(threadId, body),
    retrieveMessage: (threadId, id) => messages.retrieve(id, { thread_id: threadId }),
    listMessages: (threadId, query) => messages.list(threadId, query),
    retrieveRun: (threadId, id) => runs.retrieve(id, { thread_id: threadId }),
    listRuns: (threadId, query) => runs.list(threadId, query),
    cancelRun: (threadId, id) => runs.cancel(id, { thread_id: threadId }),
    poll: (threadId, id) => runs.poll(id, { thread_id: threadId }),
    createAndPoll: (threadId, body) => runs.createAndPoll(threadId, body),
    stream: (threadId, body) => runs.stream(threadId, body),
    submitAndPoll: (threadId, id, tool_outputs) =>
      runs.submitToolOutputsAndPoll(id, { thread_id: threadId, tool_outputs }),
    submitAndStream: (threadId, id, tool_outputs) =>
      runs.submitToolOutputsStream(id, { thread_id: threadId, tool_outputs }),
    createThreadAndPoll: (body) => threads.createAndRunPoll(body),
    createThreadAndStream: (body) => threads.createAndRunStream(body),
    retrieveStep: (threadId, runId, id) => runs.steps.retrieve(id, { thread_id: threadId, run_id: runId }),
    listSteps: (threadId, runId, query) => runs.steps.list(runId, { thread_id: threadId, ...query }),
  };
}

function legacy(client: OpenAI4.OpenAI): Client {
  const { assistants, threads } = client.beta;
  const { messages, runs } = threads;
  return {
    createAssistant: (body) => assistants.create(body),
    retrieveAssistant: (id) => assistants.retrieve(id),
    deleteAssistant: (id) => assistants.del(id),
    listAssistants: (query) => assistants.list(query),
    createThread: (first) => threads.create(first && { messages: first }),
    deleteThread: (id) => threads.del(id),
    createMessage: (threadId, body) => messages.create(threadId, body),
    retrieveMessage: (threadId, id) => messages.retrieve(threadId, id),
    listMessages: (threadId, query) => messages.list(threadId, query),
    retrieveRun: (threadId, id) => runs.retrieve(threadId, id),
    listRuns: (threadId, query) => runs.list(threadId, query),
    cancelRun: (threadId, id) => runs.cancel(threadId, id),
    poll: (threadId, id) => runs.poll(threadId, id),
    createAndPoll: (threadId, body) => runs.createAndPoll(threadId, body),
    stream: (threadId, body) => runs.stream(threadId, body),
    submitAndPoll: (threadId, id, tool_outputs) =>
      runs.submitToolOutputsAndPoll(threadId, id, { tool_outputs }),
    submitAndStream: (threadId, id, tool_outputs) =>
      runs.submitToolOutputsStream(threadId, id, { tool_outputs }),
    createThreadAndPoll: (body) => threads.createAndRunPoll(body),
    createThreadAndStream: (body) => threads.createAndRunStream(body),
    retrieveStep: (threadId, runId, id) => runs.steps.retrieve(threadId, runId, id),
    listSteps: (threadId, runId, query) => runs.steps.list(threadId, runId, query),
  };
}

/** A tool for assistants that must call one. */
export const WEATHER = {
  type: 'function' as const,
  function: { name: 'weather', parameters: { type: 'object' } },
};

/**
 * Outputs for the calls that a run waits for, in their order.
 * @throws when their numbers differ.
 */
export function outputsFor(run: Run, ...outputs: readonly string[]): Outputs {
  const pending = run.required_action?.submit_tool_outputs.tool_calls ?? [];
  if (pending.length !== outputs.length) throw new Error(`the run waits for ${pending.length} outputs`);
  return pending.map(({ id }, index) => ({ tool_call_id: id, output: outputs[index] ?? '' }));
}

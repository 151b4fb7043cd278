/** The clients: each lives through one plan and reports what it was promised and what it heard. */
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { runIn } from '../support/wire.ts';
import { OfficialSdk } from './official.ts';
import { questionOf, toolOf, wordOf, type Plan, type RunPlan } from './plan.ts';
import { readAll, Watcher, type Heard, type Told } from './reading.ts';
import { ResponsesClient, type Answered } from './responses.ts';
import { Sdk, type Traffic } from './sdk.ts';

const objectSchema = z.looseObject({ id: z.string() });
const runSchema = z.looseObject({
  id: z.string(),
  thread_id: z.string(),
  status: z.string(),
  required_action: z
    .looseObject({ submit_tool_outputs: z.looseObject({ tool_calls: z.array(objectSchema) }) })
    .nullable(),
});
const chatSchema = z.looseObject({
  choices: z.array(z.looseObject({ message: z.looseObject({ content: z.string().nullable() }) })).min(1),
});
const fileSchema = z.looseObject({ status: z.string() });
const listSchema = z.looseObject({ data: z.array(z.unknown()) });
type Run = z.infer<typeof runSchema>;

/** What became of one client. */
export interface Outcome {
  readonly plan: RunPlan;
  /** The thread it talked in; null for a chat without one. */
  threadId: string | null;
  /** The run it was promised. */
  runId: string | null;
  readonly heard: (readonly Heard[])[];
  readonly told: Told[];
  /** The file that it has put into the store. */
  fileId: string | null;
  /** What a chat was answered. */
  answer: string | null;
  /** The responses that it was promised. */
  readonly answered: Answered[];
  /** How it gave up; null when it lived to the end of its plan. */
  problem: string | null;
  tookMs: number;
}

const POLL_MS = 500;
/** `abandon` leaves its run alone; this long, then it expires. */
const ABANDONED_S = 15;
const ENDED = ['completed', 'incomplete', 'failed', 'cancelled', 'expired'];
const ENDS = ENDED.map((status) => `thread.run.${status}`);
const BLOCKED = 'thread.run.requires_action';

/** The assistants that the clients talk to, by the tool that they have, and the store that they fill. */
export interface Assistants {
  readonly ids: Readonly<Record<ReturnType<typeof toolOf>, string>>;
  readonly storeId: string;
}

export interface ClientsOptions {
  readonly plan: Plan;
  /** After this nobody comes any more. */
  readonly lastsMs: number;
  readonly origins: readonly string[];
  readonly assistants: Assistants;
  readonly traffic: Traffic;
  readonly gone: AbortSignal;
}

/** Creates the assistants the clients talk to. */
export async function createAssistants(sdk: Sdk): Promise<Assistants> {
  const tool = (name: string) => ({ type: 'function', function: { name, parameters: { type: 'object' } } });
  const create = async (body: object): Promise<string> =>
    objectSchema.parse(await sdk.ok('POST', '/assistants', { model: 'm', ...body })).id;
  const { id: storeId } = objectSchema.parse(await sdk.ok('POST', '/vector_stores', {}));
  const tool_resources = { file_search: { vector_store_ids: [storeId] } };
  return {
    storeId,
    ids: {
      look_up: await create({ tools: [tool('look_up')] }),
      clock: await create({ tools: [tool('clock')], metadata: { auto_tools: 'true' } }),
      file_search: await create({ tools: [{ type: 'file_search' }], tool_resources }),
      code_interpreter: await create({ tools: [{ type: 'code_interpreter' }] }),
    },
  };
}

/** Lets every client come at its time; resolves when the last has gone. Visits that are late by all of the plan's time are left out. */
export async function liveAll(options: ClientsOptions): Promise<readonly Outcome[]> {
  const startedMs = performance.now();
  const outcomes: Outcome[] = [];
  const visit = async (plans: readonly RunPlan[]): Promise<void> => {
    for (const plan of plans) {
      const passedMs = performance.now() - startedMs;
      if (passedMs > options.lastsMs) return;
      await delay(Math.max(0, plan.atMs - passedMs));
      outcomes.push(await new Client(plan, options).live());
    }
  };
  await Promise.all([...Map.groupBy(options.plan.runs, ({ visitor }) => visitor).values()].map(visit));
  return outcomes;
}

class Client {
  readonly #plan: RunPlan;
  readonly #sdk: Sdk;
  readonly #responses: ResponsesClient;
  readonly #assistantId: string;
  readonly #storeId: string;
  readonly #outcome: Outcome;

  constructor(plan: RunPlan, { origins, traffic, gone, assistants }: ClientsOptions) {
    this.#plan = plan;
    this.#sdk = new Sdk(origins, plan.api, traffic, gone);
    this.#assistantId = assistants.ids[toolOf(plan)];
    this.#storeId = assistants.storeId;
    this.#outcome = {
      plan,
      threadId: null,
      runId: null,
      heard: [],
      told: [],
      fileId: null,
      answer: null,
      answered: [],
      problem: null,
      tookMs: 0,
    };
    const official = new OfficialSdk(origins, plan.api, traffic, gone);
    this.#responses = new ResponsesClient(plan, official, this.#outcome.answered);
  }

  async live(): Promise<Outcome> {
    const startedMs = performance.now();
    try {
      await this.#act();
    } catch (error) {
      this.#outcome.problem = String(error);
    }
    this.#outcome.tookMs = performance.now() - startedMs;
    return this.#outcome;
  }

  async #act(): Promise<void> {
    switch (this.#plan.client) {
      case 'poll':
      case 'server tool':
      case 'code':
        return this.#poll(await this.#create());
      case 'file search':
        await this.#shelve();
        return this.#poll(await this.#create());
      case 'stream':
        return this.#stream();
      case 'response stream':
        return this.#responses.stream();
      case 'response poll':
        return this.#responses.poll();
      case 'watch':
        return this.#watch(await this.#create(), this.#plan.cuts);
      case 'cancel':
        return this.#cancel(await this.#create());
      case 'submit twice':
        return this.#watch(await this.#create(), [], true);
      case 'create and run':
        return this.#poll(await this.#createBoth());
      case 'abandon':
        return this.#watchOnly(await this.#create({ metadata: { expires_after_s: String(ABANDONED_S) } }));
      case 'chat':
        return this.#chat();
    }
  }

  async #thread(): Promise<string> {
    const messages = [{ role: 'user', content: questionOf(this.#plan) }];
    const { id } = objectSchema.parse(await this.#sdk.ok('POST', '/threads', { messages }));
    this.#outcome.threadId = id;
    return id;
  }

  async #create(extra: object = {}): Promise<Run> {
    const body = { assistant_id: this.#assistantId, ...extra };
    return this.#promised(await this.#sdk.ok('POST', `/threads/${await this.#thread()}/runs`, body));
  }

  async #createBoth(): Promise<Run> {
    const messages = [{ role: 'user', content: questionOf(this.#plan) }];
    const body = { assistant_id: this.#assistantId, thread: { messages } };
    return this.#promised(await this.#sdk.ok('POST', '/threads/runs', body));
  }

  #promised(value: unknown): Run {
    const run = runSchema.parse(value);
    this.#outcome.threadId = run.thread_id;
    this.#outcome.runId = run.id;
    return run;
  }

  async #get({ thread_id, id }: Run): Promise<Run> {
    return runSchema.parse(await this.#sdk.ok('GET', `/threads/${thread_id}/runs/${id}`));
  }

  async #poll(created: Run): Promise<void> {
    for (let run = created; !ENDED.includes(run.status); run = await this.#get(run)) {
      if (run.status === 'requires_action') await this.#submit(run, 'answer');
      else await delay(POLL_MS);
    }
  }

  /** A refusal is no mishap: another attempt may have moved the run on, and the client looks at it again anyway. */
  async #submit(run: Run, word: string): Promise<void> {
    const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
    const tool_outputs = calls.map(({ id }) => ({ tool_call_id: id, output: `${word} to ${id}` }));
    await this.#sdk.ask('POST', `${pathOf(run)}/submit_tool_outputs`, { tool_outputs });
  }

  async #watch(created: Run, cuts: readonly number[], twice = false): Promise<void> {
    const watcher = new Watcher(this.#sdk, created);
    this.#outcome.heard.push(watcher.heard);
    for (;;) {
      const last = await watcher.until([BLOCKED, ...ENDS], cuts);
      if (last.name !== BLOCKED) return;
      // From the event itself: to clients that poll, the run is shown as queued for a moment.
      const run = runSchema.parse(last.data);
      const words = twice ? ['answer', 'other answer'] : ['answer'];
      await Promise.all(words.map((word) => this.#submit(run, word)));
    }
  }

  async #watchOnly(created: Run): Promise<void> {
    const watcher = new Watcher(this.#sdk, created);
    this.#outcome.heard.push(watcher.heard);
    await watcher.until(ENDS);
  }

  async #cancel(created: Run): Promise<void> {
    const watching = this.#watch(created, []);
    await delay(this.#plan.cancelAfterMs);
    await this.#sdk.ask('POST', `${pathOf(created)}/cancel`);
    await watching;
  }

  /** Streams while it can; where the stream breaks off, the run is watched from its beginning. */
  async #stream(): Promise<void> {
    const thread = await this.#thread();
    const body = { assistant_id: this.#assistantId, stream: true };
    const stream = await this.#sdk.stream('POST', `/threads/${thread}/runs`, body);
    if (stream === null) return this.#adopt(thread);
    const told = await readAll(stream);
    if (told.frames.length === 0) return this.#adopt(thread);
    this.#outcome.told.push(told);
    return this.#watch(this.#promised(runIn(told.frames[0])), []);
  }

  /** The stream never began, so nobody knows whether there is a run: the thread does. */
  async #adopt(thread: string): Promise<void> {
    for (;;) {
      const { data } = listSchema.parse(await this.#sdk.ok('GET', `/threads/${thread}/runs`));
      if (data[0] !== undefined) return this.#watch(this.#promised(data[0]), []);
      const body = { assistant_id: this.#assistantId };
      const reply = await this.#sdk.ask('POST', `/threads/${thread}/runs`, body);
      // Refused means that the first request arrived after all.
      if (reply.status === 200) return this.#watch(this.#promised(reply.body), []);
    }
  }

  /** Uploads a file, and puts it into the store that others fill as well; resolves when it is read. */
  async #shelve(): Promise<void> {
    const form = new FormData();
    form.set('purpose', 'assistants');
    const text = `This text is about ${wordOf(this.#plan)}.`;
    form.set('file', new Blob([text]), `${wordOf(this.#plan)}.md`);
    const { id } = objectSchema.parse(await this.#sdk.ok('POST', '/files', form));
    this.#outcome.fileId = id;
    const files = `/vector_stores/${this.#storeId}/files`;
    let shelved = fileSchema.parse(await this.#sdk.ok('POST', files, { file_id: id }));
    while (shelved.status === 'in_progress') {
      await delay(POLL_MS);
      shelved = fileSchema.parse(await this.#sdk.ok('GET', `${files}/${id}`));
    }
  }

  async #chat(): Promise<void> {
    const body = { model: 'm', messages: [{ role: 'user', content: questionOf(this.#plan) }] };
    const reply = await this.#sdk.ask('POST', '/chat/completions', body);
    if (reply.status === 200)
      this.#outcome.answer = chatSchema.parse(reply.body).choices[0]?.message.content ?? '';
  }
}

const pathOf = ({ thread_id, id }: Run): string => `/threads/${thread_id}/runs/${id}`;

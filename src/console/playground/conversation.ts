/** A thread with which the reader speaks: what is loaded of it, what is sent to it, and the run that is followed. */
import { isAbort, wordsOf, type App } from '../app.ts';
import { decoded, type StreamEvent } from '../api.ts';
import { hasEnded, type List, type Message, type Run, type Step, type Thread } from '../wire.ts';
import { ThreadRecord, type Turn } from './record.ts';

/** How many messages are loaded at first, and with every look further back. */
const PAGE = 40;
const MAX_RUNS = 100;
/** How many runs' steps are asked for at a time. */
const AT_ONCE = 4;
/** Asks for the texts that searches have found, for those who follow a citation. */
const WITH_TEXTS = 'step_details.tool_calls[*].file_search.results[*].content';

/** A message as it is sent. */
export interface NewMessage {
  readonly role: 'user';
  readonly content: readonly object[];
  readonly attachments?: readonly object[];
}

export class Conversation {
  readonly record = new ThreadRecord();
  threadId: string | null;
  hasEarlier = false;
  isLoading = false;
  /** Whether something is on its way to the server. */
  isSending = false;
  /** Whether the stream of the open run is connected. */
  isConnected = true;
  /** Why the conversation could not be loaded, or could not go on; null where all is well. */
  problem: string | null = null;
  /** The messages of the thread wait for an answer, but no run could be made. */
  lacksRun = false;
  /** Whether the reader has made its last run here, and did not only come to see it. */
  isOwn = false;
  readonly #app: App;
  readonly #aborter = new AbortController();
  #followed: string | null = null;

  constructor(app: App, threadId: string | null) {
    this.#app = app;
    this.threadId = threadId;
  }

  close(): void {
    this.#aborter.abort();
  }

  /** The run that the thread has now. */
  get openTurn(): Turn | null {
    const turn = this.record.lastTurn;
    return turn === null || hasEnded(turn.run.status) ? null : turn;
  }

  /** Loads the end of the thread, and follows its run if one is under way. */
  async load(): Promise<void> {
    if (this.threadId === null) return;
    await this.#work('isLoading', async () => {
      const runs = await this.#get<List<Run>>(this.#path('/runs'), { limit: MAX_RUNS, order: 'desc' });
      for (const run of runs.data.toReversed()) this.record.putRun(run);
      await this.#loadEarlier();
      const { openTurn } = this;
      if (openTurn !== null) void this.#follow(openTurn.run);
    });
  }

  async loadEarlier(): Promise<void> {
    await this.#work('isLoading', async () => this.#loadEarlier());
  }

  /**
   * Sends a message: to a new thread, to one that rests, or to the run under way, which takes it in.
   * @returns whether it is in the thread
   */
  async send(message: NewMessage, assistantId: string): Promise<boolean> {
    let isThere = false;
    await this.#work('isSending', async () => {
      const { api } = this.#app;
      this.threadId ??= (await api.post<Thread>('/threads')).id;
      if (this.openTurn !== null) {
        const steering = { additional_messages: [message], metadata: { multitask: 'steer' } };
        const run = await api.post<Run>(this.#path('/runs'), { assistant_id: assistantId, ...steering });
        isThere = true;
        // The one under way had ended, so that a new one answers.
        if (run.id !== this.#followed) await this.#catchUp(run);
        return;
      }
      this.record.putMessage(await api.post<Message>(this.#path('/messages'), message));
      isThere = true;
      await this.#begin(assistantId);
    });
    return isThere;
  }

  /** Makes the run that could not be made before. */
  async begin(assistantId: string): Promise<void> {
    await this.#work('isSending', async () => this.#begin(assistantId));
  }

  /** Answers the calls that the open run waits for. */
  async submit(outputs: ReadonlyMap<string, string>): Promise<void> {
    const turn = this.openTurn;
    if (turn === null) return;
    await this.#work('isSending', async () => {
      const tool_outputs = [...outputs].map(([tool_call_id, output]) => ({ tool_call_id, output }));
      const path = this.#path(`/runs/${turn.run.id}/submit_tool_outputs`);
      const run = await this.#app.api.post<Run>(path, { tool_outputs });
      if (this.openTurn?.run.status === 'requires_action') this.record.putRun(run);
    });
  }

  async cancel(): Promise<void> {
    const turn = this.openTurn;
    if (turn === null) return;
    await this.#app.attempt(this.#app.api.post(this.#path(`/runs/${turn.run.id}/cancel`)));
  }

  #path(rest: string): string {
    return `/threads/${this.threadId ?? ''}${rest}`;
  }

  async #get<T>(path: string, query: Readonly<Record<string, string | number>>): Promise<T> {
    return this.#app.api.get<T>(path, query, this.#aborter.signal);
  }

  /** Does something and notes what went wrong. */
  async #work(state: 'isLoading' | 'isSending', work: () => Promise<void>): Promise<void> {
    if (this[state]) return;
    this[state] = true;
    this.problem = null;
    this.#app.redraw();
    try {
      await work();
    } catch (error) {
      if (!isAbort(error)) this.problem = wordsOf(error);
    }
    this[state] = false;
    this.#app.redraw();
  }

  async #loadEarlier(): Promise<void> {
    const [oldest] = this.record.messages.keys();
    const query = { limit: PAGE, order: 'desc', ...(oldest !== undefined && { after: oldest }) };
    const page = await this.#get<List<Message>>(this.#path('/messages'), query);
    this.record.putEarlier(page.data.toReversed());
    this.hasEarlier = page.has_more;
    this.#app.redraw();
    await this.#loadSteps();
  }

  /** The steps of all runs that are in view. */
  async #loadSteps(): Promise<void> {
    const [oldest] = this.record.messages.values();
    const since = this.hasEarlier ? (oldest?.created_at ?? 0) : 0;
    const lacking = [...this.record.turns.values()]
      .filter(({ steps, run }) => steps === null && hasEnded(run.status) && run.created_at >= since)
      .map(({ run }) => run.id);
    for (let next = lacking.splice(-AT_ONCE); next.length > 0; next = lacking.splice(-AT_ONCE))
      await Promise.all(next.map(async (id) => this.#settle(id)));
  }

  async #settle(runId: string): Promise<void> {
    const query = { limit: 100, order: 'asc', 'include[]': WITH_TEXTS };
    const { data } = await this.#get<List<Step>>(this.#path(`/runs/${runId}/steps`), query);
    this.record.putSteps(runId, data);
    this.#app.redraw();
  }

  async #begin(assistantId: string): Promise<void> {
    this.lacksRun = true;
    const run = await this.#app.api.post<Run>(this.#path('/runs'), { assistant_id: assistantId });
    this.lacksRun = false;
    this.isOwn = true;
    this.record.putRun(run);
    void this.#follow(run);
  }

  /** Reads what has joined the thread unheard, and follows its new run. */
  async #catchUp(run: Run): Promise<void> {
    const page = await this.#get<List<Message>>(this.#path('/messages'), { limit: PAGE, order: 'desc' });
    for (const message of page.data.toReversed()) this.record.putMessage(message);
    this.record.putRun(run);
    void this.#follow(run);
  }

  /** Follows a run to its end, however often the connection breaks. */
  async #follow({ id }: Run): Promise<void> {
    const { signal } = this.#aborter;
    this.#followed = id;
    this.isConnected = true;
    this.record.rewind(id);
    try {
      const events = this.#app.api.follow(this.#path(`/runs/${id}/events?thoughts=true`), {
        isOver: ({ event }) => event === 'done',
        signal,
        onConnection: (isThere) => this.#connection(isThere),
      });
      for await (const event of events) this.#hear(id, event);
      if (!signal.aborted) await this.#settleEnd(id);
    } catch (error) {
      if (!signal.aborted && !isAbort(error)) this.problem = wordsOf(error);
    }
    this.#app.redraw();
  }

  #connection(isThere: boolean): void {
    if (this.isConnected === isThere) return;
    this.isConnected = isThere;
    this.#app.redraw();
  }

  #hear(runId: string, { event, data }: StreamEvent): void {
    if (event === 'done') return;
    if (event === 'error') {
      this.problem = decoded<{ readonly error?: { readonly message?: string } }>(data).error?.message ?? data;
    } else this.record.take(runId, event, data);
    this.#app.redraw();
  }

  /** Lists know better than events what a run has taken back, and have the texts that searches have found. */
  async #settleEnd(runId: string): Promise<void> {
    // What the stream said of it stands at the run itself.
    if (this.record.turns.get(runId)?.run.last_error != null) this.problem = null;
    await this.#settle(runId);
    const query = { run_id: runId, limit: 100, order: 'asc' };
    const { data } = await this.#get<List<Message>>(this.#path('/messages'), query);
    const ids = new Set(data.map(({ id }) => id));
    for (const [id, message] of this.record.messages)
      if (message.run_id === runId && !ids.has(id)) this.record.messages.delete(id);
    for (const message of data) this.record.putMessage(message);
  }
}

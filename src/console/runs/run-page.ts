/** One run, with all that is known about it; followed as long as it goes on. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { listenToAdmin, type AdminHello } from '../admin-stream.ts';
import { ApiProblem, type StreamEvent } from '../api.ts';
import { wordsOf, type App, type Page } from '../app.ts';
import { Loaded } from '../loaded.ts';
import { say } from '../say.ts';
import { link, statusView } from '../views.ts';
import { hasEnded, type Assistant, type Run, type Step } from '../wire.ts';
import { EventLog } from './event-log.ts';
import { eventsView, FIRST_CHOICE, type EventChoice } from './events-view.ts';
import { actionsView, factsView, troubleView } from './head-view.ts';
import { FilePictures } from '../stored-files.ts';
import { hasAssistant } from './row.ts';
import { loadTalk, type Talk } from './talk.ts';
import { talkView } from './talk-view.ts';
import { timelineView } from './timeline.ts';
import { waitsOf } from './times.ts';
import { coarseTrace, timelineOf, type RunTrace, type Timeline } from './trace.ts';

/** Everything is read again at most so often, in milliseconds. */
const REFRESH_MS = 1_000;

interface Known {
  readonly run: Run;
  readonly steps: readonly Step[];
  readonly talk: Talk | null;
  readonly trace: RunTrace;
}

export class RunPage implements Page {
  readonly #app: App;
  readonly #path: string;
  readonly #known: Loaded<Known>;
  readonly #pictures: FilePictures;
  readonly #log = new EventLog();
  readonly #aborter = new AbortController();
  readonly #stopListening: () => void;
  readonly #timer: number;
  #assistant: Loaded<Assistant> | null = null;
  #isGone = false;
  #isConnected = true;
  #followProblem: string | null = null;
  #isStale = false;
  #isRefreshing = false;
  #project: string | null = null;
  #cost: number | null = null;
  #currency: string | null = null;
  #aheadMs = 0;
  #open: ReadonlySet<string> = new Set();
  #choice: EventChoice = FIRST_CHOICE;

  constructor(app: App, threadId: string, runId: string) {
    this.#app = app;
    this.#path = `/threads/${encodeURIComponent(threadId)}/runs/${encodeURIComponent(runId)}`;
    this.#pictures = new FilePictures(app);
    this.#known = new Loaded(app, async (signal) => this.#load(signal));
    this.#stopListening = listenToAdmin(app, {
      hello: ({ project, currency, server_time }: AdminHello) => {
        this.#currency = currency;
        this.#project = project;
        this.#aheadMs = server_time * 1_000 - Date.now();
        app.redraw();
      },
      run: (news) => {
        if (news.id === runId) this.#cost = news.cost;
      },
    });
    this.#timer = setInterval(() => this.#tick(), REFRESH_MS);
    void this.#follow();
  }

  get title(): string {
    return say('Run', '运行');
  }

  close(): void {
    this.#aborter.abort();
    this.#known.close();
    this.#assistant?.close();
    this.#pictures.close();
    this.#stopListening();
    clearInterval(this.#timer);
  }

  view(): TemplateResult {
    const back = html`<p>${link('/runs', say('← All runs', '← 全部运行'))}</p>`;
    if (this.#isGone) return html`${back}${goneView()}`;
    return html`${back}${this.#known.view((known) => this.#runView(known))}`;
  }

  #runView({ run, steps, talk, trace }: Known): TemplateResult {
    const timeline = timelineOf(trace, this.#nowMs);
    return html`<div class="heading">
        <h1>${this.title} <span role="status">${statusView(run.status)}</span></h1>
        ${actionsView(run, { cancel: () => void this.#cancel(), again: () => void this.#again(run) })}
      </div>
      ${troubleView(run)}
      ${factsView(run, {
        assistantName: this.#assistant?.value?.name ?? null,
        project: this.#project,
        cost: this.#cost ?? trace.cost ?? null,
        currency: this.#currency ?? trace.currency ?? null,
        now: this.#nowMs / 1_000,
        lengthMs: timeline.isCoarse ? null : timeline.lengthMs,
        waits: waitsOf(trace, timeline.isCoarse, this.#nowMs),
      })}
      <section aria-labelledby="timeline">
        <h2 id="timeline">${say('Timeline', '时间线')}</h2>
        ${this.#timelineView(timeline, trace)}
      </section>
      <section aria-labelledby="talk">
        <h2 id="talk">${say('Steps and messages', '步骤和消息')}</h2>
        ${talkView(talk, {
          steps,
          hasEnded: hasEnded(run.status),
          pictures: this.#pictures,
          saidSoFar: (id) => (hasEnded(run.status) ? '' : this.#log.saidSoFar(id)),
        })}
      </section>
      <section aria-labelledby="events">
        <h2 id="events">${say('Events as they come', '实时事件')}</h2>
        ${this.#eventsView()}
      </section>`;
  }

  #timelineView(timeline: Timeline, trace: RunTrace): TemplateResult {
    const toggle = (id: string): void => {
      const open = new Set(this.#open);
      if (!open.delete(id)) open.add(id);
      this.#open = open;
      this.#app.redraw();
    };
    const more = html`<p class="hint">
      ${say('There was more than is kept: some spans are missing.', '记录过多，部分片段未保留。')}
    </p>`;
    return html`${timelineView(timeline, { open: this.#open, toggle })}${trace.truncated ? more : nothing}`;
  }

  #eventsView(): TemplateResult {
    const { hasExpired, isOver } = this.#log;
    const lost = html`<p class="live off" role="status">
      ${say('Connection lost, connecting again …', '连接已断开，正在重新连接……')}
    </p>`;
    if (this.#followProblem !== null) return html`<p class="problem">${this.#followProblem}</p>`;
    return html`${this.#isConnected || isOver || hasExpired ? nothing : lost}
    ${eventsView(this.#log, this.#choice, (choice) => {
      this.#choice = choice;
      this.#app.redraw();
    })}`;
  }

  async #load(signal: AbortSignal): Promise<Known> {
    const { api } = this.#app;
    try {
      const run = await api.get<Run>(this.#path, {}, signal);
      if (this.#assistant === null && hasAssistant(run)) {
        const path = `/assistants/${encodeURIComponent(run.assistant_id)}`;
        this.#assistant = new Loaded(this.#app, async (signal) => api.get<Assistant>(path, {}, signal));
      }
      const [steps, talk] = await Promise.all([
        api.all<Step>(`${this.#path}/steps`, { order: 'asc' }),
        loadTalk(this.#app, run, signal),
      ]);
      return { run, steps, talk, trace: await this.#trace(run, steps, signal) };
    } catch (error) {
      if (error instanceof ApiProblem && error.status === 404) this.#isGone = true;
      throw error;
    }
  }

  async #trace(run: Run, steps: readonly Step[], signal: AbortSignal): Promise<RunTrace> {
    try {
      return await this.#app.api.get<RunTrace>(`${this.#path}/trace`, {}, signal);
    } catch (error) {
      if (error instanceof ApiProblem && error.status === 404) return coarseTrace(run, steps);
      throw error;
    }
  }

  async #follow(): Promise<void> {
    const { signal } = this.#aborter;
    const onConnection = (isThere: boolean): void => {
      if (this.#isConnected === isThere) return;
      this.#isConnected = isThere;
      this.#app.redraw();
    };
    const isOver = ({ event }: StreamEvent): boolean => event === 'done';
    try {
      for await (const event of this.#app.api.follow(`${this.#path}/events`, {
        isOver,
        signal,
        onConnection,
      })) {
        this.#log.take(event);
        // A run that had ended when it was read does not change any more.
        if (!event.event.endsWith('.delta')) this.#isStale ||= !this.#hasEnded;
        this.#app.redraw();
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#followProblem = wordsOf(error);
      this.#app.redraw();
    }
  }

  get #hasEnded(): boolean {
    const { value } = this.#known;
    return value !== null && hasEnded(value.run.status);
  }

  /** Times go on, and what has changed is read again. */
  #tick(): void {
    if (this.#isGone || this.#hasEnded) return;
    this.#app.redraw();
    if (this.#isStale && !this.#isRefreshing) void this.#refresh();
  }

  async #refresh(): Promise<void> {
    this.#isStale = false;
    this.#isRefreshing = true;
    await this.#known.again();
    this.#isRefreshing = false;
  }

  async #cancel(): Promise<void> {
    const words = say(
      'Cancel this run? The model is stopped; what it has said so far stays in the thread.',
      '取消此运行？模型将停止，已有的输出会保留在会话中。',
    );
    if (!(await this.#app.ask(words, say('Cancel the run', '取消运行')))) return;
    await this.#app.attempt(async () => this.#app.api.post<Run>(`${this.#path}/cancel`));
    await this.#refresh();
  }

  async #again(run: Run): Promise<void> {
    const words = say(
      'Run again? A new run of the same assistant, as it is now, answers this thread, as it is now: with all that was said since, this run’s answer included.',
      '再次运行？将由同一助手（按当前设置）在此会话上新建一个运行，并看到会话的全部现有内容，包括此运行的回答。',
    );
    if (!(await this.#app.ask(words, say('Run again', '再次运行')))) return;
    const { assistant_id, model, metadata, thread_id } = run;
    const path = `/threads/${encodeURIComponent(thread_id)}/runs`;
    const body = { assistant_id, model, metadata };
    const made = await this.#app.attempt(async () => this.#app.api.post<Run>(path, body));
    if (made !== undefined)
      this.#app.go(`/runs/${encodeURIComponent(thread_id)}/${encodeURIComponent(made.id)}`);
  }

  get #nowMs(): number {
    return Date.now() + this.#aheadMs;
  }
}

function goneView(): TemplateResult {
  return html`<h1>${say('There is no such run here', '这里没有这个运行')}</h1>
    <p>
      ${say(
        'It was deleted with its thread, it was a chat without a thread and has expired, or it belongs to another project: then enter with a key of that project.',
        '它可能已随会话删除；或来自没有会话的聊天且已过期；或属于其他项目——如属后者，请使用该项目的密钥进入。',
      )}
    </p>`;
}

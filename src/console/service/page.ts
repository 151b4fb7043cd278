/** How the whole service does, for its operators; and for other keys, what they may know of it. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { listenToAdmin, type AdminHello, type ServiceNews } from '../admin-stream.ts';
import { decoded } from '../api.ts';
import type { App, Page } from '../app.ts';
import { Loaded, problemView } from '../loaded.ts';
import type { OpenPage } from '../pages.ts';
import { say } from '../say.ts';
import type { List } from '../wire.ts';
import { projectsView, settingsView, toolsView } from './detail-views.ts';
import type { Readiness, ServiceDetails, UsageDay } from './details.ts';
import { GoneWorkers } from './gone-workers.ts';
import { ServicePlots } from './plots.ts';
import { problemsOf, type Problem } from './problems.ts';
import { Samples } from './samples.ts';
import { strangerView } from './stranger.ts';
import { apisView, upstreamsView, workersView } from './tables.ts';
import { tilesView } from './tiles.ts';
import { upstreamProblems } from './upstream-problems.ts';
import { usageSpan, UsageView } from './usage.ts';

export const open: OpenPage = (app) => new ServicePage(app);

/** What the stream does not tell is asked for anew so often. */
const AGAIN_MS = 15_000;

class ServicePage implements Page {
  readonly #app: App;
  readonly #samples = new Samples();
  readonly #gone = new GoneWorkers();
  readonly #plots: ServicePlots;
  readonly #usageView: UsageView;
  readonly #usage: Loaded<List<UsageDay>>;
  readonly #ready: Loaded<Readiness>;
  #details: Loaded<ServiceDetails> | null = null;
  #hello: AdminHello | null = null;
  #news: ServiceNews | null = null;
  /** Whether the stream is there, once it was. */
  #isConnected = true;
  #problem: string | null = null;
  readonly #deaf: () => void;
  readonly #timer: number;
  readonly #colours = matchMedia('(prefers-color-scheme: dark)');

  constructor(app: App) {
    this.#app = app;
    this.#plots = new ServicePlots(app.redraw);
    this.#usageView = new UsageView(app.redraw);
    this.#usage = new Loaded(app, async (signal) => this.#readUsage(signal));
    this.#ready = new Loaded(app, async (signal) => {
      const answer = await app.api.beside('/ready', { signal });
      return decoded<Readiness>(await answer.text());
    });
    this.#deaf = listenToAdmin(app, {
      hello: (hello) => this.#meet(hello),
      service: (news) => this.#hear(news),
      connection: (isThere, problem) => {
        this.#isConnected = isThere;
        this.#problem = problem;
        app.redraw();
      },
    });
    this.#timer = setInterval(this.#again, AGAIN_MS);
    this.#colours.addEventListener('change', app.redraw);
    document.addEventListener('visibilitychange', this.#again);
  }

  get title(): string {
    return say('Service', '服务');
  }

  view(): TemplateResult {
    const hello = this.#hello;
    return html`<div class="heading">
        <h1>${say('Service', '服务')}</h1>
        ${hello === null ? nothing : html`<p class="quiet">Longrun ${hello.version}</p>`}
      </div>
      ${this.#problem === null ? nothing : problemView(this.#problem)}
      ${this.#isConnected || this.#problem !== null ? nothing : html`<p class="problem" role="alert">${awayWords()}</p>`}
      ${hello === null ? waitingView(this.#problem) : this.#viewFor(hello)}`;
  }

  close(): void {
    this.#deaf();
    clearInterval(this.#timer);
    this.#colours.removeEventListener('change', this.#app.redraw);
    document.removeEventListener('visibilitychange', this.#again);
    for (const part of [this.#plots, this.#usageView, this.#usage, this.#ready, this.#details]) part?.close();
  }

  #viewFor(hello: AdminHello): TemplateResult {
    const usage = this.#usage.view(() => this.#usageView.view());
    if (!hello.operator) return strangerView(hello, usage);
    const news = this.#news;
    const details = this.#details;
    return html`${problemsView(this.#problems())}
    ${
      news === null
        ? waitingView(null)
        : html`${tilesView(news)} ${this.#plots.view()} ${workersView(news, hello.project)} ${apisView(news)}
          ${upstreamsView(news)}`
    }
    ${usage}
    ${details?.view((value) => html`${projectsView(value)} ${toolsView(value)} ${settingsView(value)}`) ?? nothing}`;
  }

  #problems(): readonly Problem[] {
    const news = this.#news;
    const before = this.#samples.minuteAgo;
    const known = {
      news,
      ready: this.#ready.value,
      details: this.#details?.value ?? null,
      gone: this.#gone.all,
    };
    return [
      ...problemsOf(known),
      ...(news === null || before === null ? [] : upstreamProblems(before, news)),
    ];
  }

  #meet(hello: AdminHello): void {
    this.#hello = hello;
    if (hello.operator)
      this.#details ??= new Loaded(this.#app, async (signal) =>
        this.#app.api.get<ServiceDetails>('/admin/service', {}, signal),
      );
    this.#app.redraw();
  }

  #hear(news: ServiceNews): void {
    if (!this.#samples.add(news)) return;
    this.#news = news;
    if (news.redis.ok) this.#gone.see(news.workers, news.at);
    // A history of hundreds is drawn once, with what follows it.
    if (news.history === true) return;
    this.#plots.show(this.#samples);
    this.#app.redraw();
  }

  readonly #again = (): void => {
    if (document.hidden) return;
    for (const part of [this.#usage, this.#ready, this.#details]) void part?.again();
  };

  async #readUsage(signal: AbortSignal): Promise<List<UsageDay>> {
    const usage = await this.#app.api.get<List<UsageDay>>('/usage', usageSpan(Date.now()), signal);
    this.#usageView.days = usage.data;
    return usage;
  }
}

function waitingView(problem: string | null): TemplateResult | typeof nothing {
  if (problem !== null) return nothing;
  return html`<p class="quiet" aria-busy="true">${say('Loading …', '加载中……')}</p>`;
}

function awayWords(): string {
  return say(
    'The server does not answer any more. What is shown is how it was; this page goes on when it is back.',
    '服务器不再响应。以下是之前的状态；恢复后本页会继续更新。',
  );
}

/** In a place of its own that is always there, so that screen readers say what comes. */
function problemsView(problems: readonly Problem[]): TemplateResult {
  return html`<section class="problems" aria-live="polite" aria-label=${say('Problems', '问题')}>
    ${
      problems.every(({ isNote }) => isNote === true)
        ? html`<p class="all-well">✓ ${say('All is well', '一切正常')}</p>`
        : nothing
    }
    ${problems.map(
      ({ what, todo, isNote }) =>
        html`<div class=${isNote === true ? 'card note' : 'problem'}>
          <h2>${what}</h2>
          <p>${todo}</p>
        </div>`,
    )}
  </section>`;
}

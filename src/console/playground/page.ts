/** The playground: conversations with assistants, with all that happens in them. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { guard } from 'lit-html/directives/guard.js';
import { ref } from 'lit-html/directives/ref.js';
import { repeat } from 'lit-html/directives/repeat.js';
import type { App, Page } from '../app.ts';
import { assistantEditor, type AssistantEditor } from '../objects/assistant-editor.ts';
import { problemView } from '../loaded.ts';
import type { OpenPage } from '../pages.ts';
import { say } from '../say.ts';
import { empty, idView, statusWords } from '../views.ts';
import type { Assistant } from '../wire.ts';
import { answerForm } from './answer-form.ts';
import { Assistants } from './assistants.ts';
import { callsView, thoughtsView } from './call-view.ts';
import { CodePanel } from './code-panel.ts';
import { Composer, messageOf, type Draft } from './composer.ts';
import { Conversation } from './conversation.ts';
import { toComposer, toComposerIfFree, toForm } from './focus.ts';
import { examples, isDemo } from './examples.ts';
import { citationDialog, messageView, type OpenCitation } from './message-view.ts';
import { Unfolded } from './parts-view.ts';
import { runView } from './run-view.ts';
import { EndKeeper } from './scrolling.ts';
import { StoredFiles } from '../stored-files.ts';
import { timeline, type Entry } from './timeline.ts';

export const open: OpenPage = (app, { query }) =>
  new Playground(app, query.get('thread'), query.get('assistant'));

class Playground implements Page {
  readonly #app: App;
  readonly #assistants: Assistants;
  readonly #files: StoredFiles;
  readonly #unfolded: Unfolded;
  readonly #composer: Composer;
  readonly #code: CodePanel;
  readonly #end = new EndKeeper();
  #conversation: Conversation;
  #editor: AssistantEditor | null = null;
  #citation: OpenCitation | null = null;
  #isStarting = false;

  constructor(app: App, threadId: string | null, assistantId: string | null) {
    this.#app = app;
    this.#files = new StoredFiles(app);
    this.#unfolded = new Unfolded(app.redraw);
    this.#composer = new Composer(app, this.#files);
    this.#code = new CodePanel(app, () => this.#end.leave());
    this.#assistants = new Assistants(app, assistantId);
    this.#conversation = new Conversation(app, threadId);
    void this.#load(this.#conversation);
  }

  get title(): string {
    return say('Playground', '演练场');
  }

  close(): void {
    this.#conversation.close();
    this.#assistants.close();
    this.#files.close();
    this.#editor?.close();
    this.#end.close();
  }

  view(): TemplateResult {
    const { chosen } = this.#assistants;
    return html`<section class="playground ${this.#code.isOpen ? 'with-code' : ''}">
        <div class="heading">
          <h1>${say('Playground', '演练场')}</h1>
          ${this.#toolbar()}
        </div>
        ${this.#assistants.problem === null ? nothing : problemView(this.#assistants.problem, () => void this.#assistants.load())}
        <div class="columns">
          <div class="conversation">${this.#conversationView()}</div>
          ${this.#code.isOpen && chosen !== null ? this.#code.view(chosen, this.#conversation.record) : nothing}
        </div>
      </section>
      ${this.#editor?.view() ?? nothing}
      ${this.#citation === null ? nothing : citationDialog(this.#citation, this.#sources(), () => this.#cite(null))}`;
  }

  #toolbar(): TemplateResult {
    const { chosen } = this.#assistants;
    return html`<div class="buttons">
      ${this.#assistants.view()}
      ${chosen === null ? nothing : html`<button @click=${() => this.#edit(chosen)}>${say('Edit', '编辑')}</button>`}
      <button @click=${() => this.#edit(null)}>${say('New assistant', '新建助手')}</button>
      <button @click=${() => this.#startAnew()}>${say('New conversation', '新对话')}</button>
      ${
        chosen === null
          ? nothing
          : html`<button aria-expanded=${this.#code.isOpen} @click=${this.#code.toggle}>
              ${say('Code', '代码')}
            </button>`
      }
    </div>`;
  }

  #conversationView(): TemplateResult {
    const conversation = this.#conversation;
    const { record, openTurn } = conversation;
    const entries = timeline(record, !conversation.hasEarlier);
    const { pictures } = record;
    return html`
      ${conversation.threadId === null ? nothing : html`<p class="quiet thread-id">${idView(conversation.threadId)}</p>`}
      ${this.#earlier()} ${entries.length === 0 ? this.#beginning() : nothing}
      <div
        ${ref(this.#end.watch)}
        class="entries"
        role="log"
        aria-live="off"
        aria-label=${say('Conversation', '对话')}
      >
        ${repeat(
          entries,
          ({ key, kind }) => kind + key,
          (entry) => this.#entryView(entry, pictures),
        )}
      </div>
      <p class="unseen" role="status">
        ${openTurn === null ? this.#lastWords() : statusWords(openTurn.run.status)}
      </p>
      ${conversation.isConnected ? nothing : html`<p class="quiet" role="status">${say('The server is away. Connecting again …', '服务器无响应，正在重新连接……')}</p>`}
      ${openTurn === null ? nothing : answerForm(openTurn.run, this.#answering())} ${this.#trouble()}
      ${this.#composer.view({
        steers: openTurn !== null,
        isSending: conversation.isSending || conversation.isLoading || this.#isStarting,
        send: async (draft) => this.#send(draft),
        cancel: () => {
          toComposer();
          void conversation.cancel();
        },
      })}
    `;
  }

  /** What the end of a run is told as to those who do not see it. */
  #lastWords(): string {
    const { lastTurn } = this.#conversation.record;
    return lastTurn === null ? '' : statusWords(lastTurn.run.status);
  }

  /** What has not changed is not drawn anew. @param shown the pictures that are seen in messages */
  #entryView(entry: Entry, shown: ReadonlySet<string>): unknown {
    const means = this.#means();
    const { version } = this.#files;
    switch (entry.kind) {
      case 'message':
        return guard([entry.message, version], () => messageView(entry.message, means));
      case 'thoughts':
        return guard([entry.text], () => thoughtsView(entry.text));
      case 'calls': {
        const { step, turn } = entry;
        const seen = [step, turn.run.status, shown.size, version, this.#unfolded.version];
        return guard(seen, () => callsView(step, { ...means, turn, shown }));
      }
      case 'run': {
        const isLast = entry.turn === this.#conversation.record.lastTurn;
        const again = isLast ? (): void => this.#runAgain() : null;
        return guard([entry.turn.run, isLast], () => runView(entry.turn.run, again));
      }
    }
  }

  #means() {
    return {
      files: this.#files,
      unfolded: this.#unfolded,
      openCitation: (citation: OpenCitation) => this.#cite(citation),
    };
  }

  #answering() {
    return {
      unfolded: this.#unfolded,
      isBusy: this.#conversation.isSending,
      submit: (outputs: ReadonlyMap<string, string>) => this.#answer(outputs),
      arrived: this.#askReader,
      complain: (problem: string) => this.#app.tell(problem, true),
    };
  }

  /** The form goes, and the focus with it. */
  #answer(outputs: ReadonlyMap<string, string>): void {
    toComposer();
    this.#conversation.isOwn = true;
    this.#end.go();
    void this.#conversation.submit(outputs);
  }

  /** Brings the reader to what a run of theirs waits for. */
  readonly #askReader = (form?: Element): void => {
    if (!(form instanceof HTMLElement) || !this.#conversation.isOwn) return;
    requestAnimationFrame(() => toForm(form));
  };

  #earlier(): TemplateResult | typeof nothing {
    const conversation = this.#conversation;
    if (conversation.isLoading)
      return html`<p class="quiet" aria-busy="true">${say('Loading …', '加载中……')}</p>`;
    return conversation.hasEarlier
      ? html`<button class="small" @click=${() => this.#loadEarlier()}>
          ${say('Earlier messages', '更早的消息')}
        </button>`
      : nothing;
  }

  #loadEarlier(): void {
    this.#end.leave();
    void this.#conversation.loadEarlier();
  }

  /** What stands in place of a conversation that has not begun. */
  #beginning(): TemplateResult | typeof nothing {
    const { all, chosen } = this.#assistants;
    if (all === null || this.#conversation.isLoading || this.#isStarting) return nothing;
    const isFirst = all.length === 0;
    if (!isFirst && (chosen === null || !isDemo(chosen)))
      return empty(
        say('Write a message to begin a conversation with this assistant.', '输入消息，开始与此助手对话。'),
      );
    const words = isFirst
      ? say(
          'Ask something: that makes a demo assistant, which you can change.',
          '点一个问题试试：会自动创建一个可修改的演示助手。',
        )
      : say('Ask something, or write a message.', '点一个问题，或输入消息。');
    return empty(
      words,
      html`<ul class="examples">
        ${examples().map(
          (example) =>
            html`<li>
              <button @click=${() => void this.#send({ text: example.question, chosen: [] })}>
                ${example.question}
              </button>
              <span class="hint">${example.about}</span>
            </li>`,
        )}
      </ul>`,
    );
  }

  #trouble(): TemplateResult | typeof nothing {
    const { problem, lacksRun } = this.#conversation;
    if (problem === null) return nothing;
    return lacksRun ? problemView(problem, () => this.#runAgain()) : problemView(problem);
  }

  #runAgain(): void {
    void this.#conversation.begin(this.#assistants.chosen?.id ?? '');
  }

  async #load(conversation: Conversation): Promise<void> {
    await Promise.all([this.#assistants.load(), conversation.load()]);
    const answered = conversation.record.lastTurn?.run.assistant_id;
    if (answered !== undefined) await this.#assistants.choose(answered);
    this.#app.redraw();
    toComposerIfFree();
  }

  /** Sends a message; where there is no assistant, that of the examples is made to answer it. */
  async #send(draft: Draft): Promise<boolean> {
    if (this.#isStarting) return false;
    this.#isStarting = true;
    this.#app.redraw();
    const assistant = await this.#app.attempt(async () => this.#assistants.needsOne());
    this.#isStarting = false;
    if (assistant === undefined) return false;
    const conversation = this.#conversation;
    const isThere = await conversation.send(messageOf(draft, assistant), assistant.id);
    if (conversation !== this.#conversation) return isThere;
    if (conversation.threadId !== null)
      this.#app.note(`/?thread=${encodeURIComponent(conversation.threadId)}`);
    this.#end.go();
    return isThere;
  }

  #startAnew(): void {
    this.#conversation.close();
    this.#conversation = new Conversation(this.#app, null);
    this.#app.note('');
    toComposer();
  }

  #edit(assistant: Assistant | null): void {
    this.#editor = assistantEditor(this.#app, assistant, {
      saved: (stored) => this.#assistants.put(stored),
      closed: () => (this.#editor = null),
    });
    this.#app.redraw();
  }

  /** What the run has done that says what is cited. */
  #sources() {
    const { turns } = this.#conversation.record;
    return { ...this.#means(), steps: turns.get(this.#citation?.runId ?? '')?.steps ?? [] };
  }

  #cite(citation: OpenCitation | null): void {
    this.#citation = citation;
    this.#app.redraw();
  }
}

/** A pair of camera glasses to try the server with, where none are at hand. */
import { html, type TemplateResult } from 'lit-html';
import { wordsOf, type App, type Page } from '../app.ts';
import type { OpenPage } from '../pages.ts';
import { say } from '../say.ts';
import type { Assistant, List, Model, Run } from '../wire.ts';
import { CameraProblem, closeWebcam, openWebcam, photograph, pictureOf } from './camera.ts';
import { GlassesDevice } from './device.ts';
import { askView, lookView, runView } from './controls.ts';
import { frameView, spokenView } from './picture.ts';
import { setUpView } from './set-up-view.ts';
import { StoredSetUp } from './stored-set-up.ts';
import { hush, speak } from './voice.ts';
import { wireView } from './wire-log.ts';

export const open: OpenPage = (app) => new GlassesPage(app);

/** Assistants that are offered; others can be typed. */
const MAX_OFFERED = 100;

export class GlassesPage implements Page {
  readonly setUp = new StoredSetUp();
  readonly device: GlassesDevice;
  /** Whom the reader may ask: names of assistants, and models. */
  names: readonly string[] = [];
  webcam: MediaStream | null = null;
  /** Whether answers are read aloud. */
  isAloud = false;
  /** The run that gave the last answer, where the server says which it was. */
  run: Run | null = null;
  readonly #app: App;
  readonly #closed = new AbortController();

  constructor(app: App) {
    this.#app = app;
    this.device = new GlassesDevice(app.api, () => app.session.key !== null, app.redraw);
    void this.#findNames();
  }

  get title(): string {
    return say('Glasses', '眼镜');
  }

  view(): TemplateResult {
    const { doing } = this.device;
    return html`<div class="heading">
        <div>
          <h1>${say('Glasses', '眼镜')}</h1>
          <p class="quiet">
            ${say(
              'This page plays a pair of camera glasses. It speaks to the server as they do, so you see what their user hears, and what went over the wire.',
              '此页面模拟一副带摄像头的眼镜，并以同样的方式连接服务器：你能看到用户听到的内容，以及通信内容。',
            )}
          </p>
        </div>
      </div>
      <div class="glasses-page">
        <section class="device" aria-label=${say('The device', '设备')}>
          ${frameView(this.device, this.webcam)}
          ${doing === 'looking' ? lookView(this) : spokenView(this.device)} ${runView(this.run)}
          ${askView(this)}
        </section>
        ${setUpView(this)}
      </div>
      ${wireView(this.device.wire)}`;
  }

  close(): void {
    this.#closed.abort();
    this.hangUp();
  }

  redraw(): void {
    this.#app.redraw();
  }

  async ask(question: string): Promise<void> {
    await this.#hear(async () => this.device.ask(this.setUp, question));
  }

  hangUp(): void {
    hush();
    this.#closeWebcam();
    this.device.hangUp();
  }

  async openWebcam(): Promise<void> {
    await this.#tryCamera(async () => {
      const webcam = await openWebcam();
      // The reader may have gone on while the browser asked for leave.
      if (this.device.doing === 'looking' && !this.#closed.signal.aborted) this.webcam = webcam;
      else closeWebcam(webcam);
    });
  }

  async takePhoto(video: HTMLVideoElement): Promise<void> {
    await this.#show(photograph(video));
  }

  async choosePhoto(file: File): Promise<void> {
    await this.#tryCamera(async () => this.#show(await pictureOf(file)));
  }

  async #show(url: string): Promise<void> {
    this.#closeWebcam();
    await this.#hear(async () => this.device.show(this.setUp, url));
  }

  async #hear(send: () => Promise<void>): Promise<void> {
    hush();
    this.#closeWebcam();
    this.run = null;
    await send();
    const { doing, hasHungUp, spoken, threadId } = this.device;
    if (this.isAloud && doing === 'nothing' && !hasHungUp) speak(spoken);
    if (threadId !== null) await this.#findRun(threadId);
  }

  /** Only in a thread does the server say where the run is. */
  async #findRun(threadId: string): Promise<void> {
    const { signal } = this.#closed;
    const runs = await this.#app.api
      .get<List<Run>>(`/threads/${threadId}/runs`, { limit: 1 }, signal)
      .catch(() => null);
    this.run = runs?.data[0] ?? null;
    this.redraw();
  }

  async #tryCamera(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#app.tell(error instanceof CameraProblem ? error.message : wordsOf(error), true);
    }
    this.redraw();
  }

  #closeWebcam(): void {
    closeWebcam(this.webcam);
    this.webcam = null;
  }

  /** Whoever can be asked by name; without a list, names can still be typed. */
  async #findNames(): Promise<void> {
    const { api } = this.#app;
    const { signal } = this.#closed;
    const [assistants, models] = await Promise.all([
      api.all<Assistant>('/assistants', {}, MAX_OFFERED).catch(() => []),
      api.get<List<Model>>('/models', {}, signal).catch(() => ({ data: [] })),
    ]);
    if (signal.aborted) return;
    const named = assistants.flatMap(({ name }) => (name === null || name === '' ? [] : [name]));
    this.names = [...new Set([...named, ...models.data.map(({ id }) => id)])];
    if (this.setUp.who === '') this.setUp.who = this.names[0] ?? '';
    this.redraw();
  }
}

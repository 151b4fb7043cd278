/** The glasses as they are seen from behind, and what they say. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { say } from '../say.ts';
import type { Doing, GlassesDevice } from './device.ts';

/** The frame; through its lenses one sees what the camera does. */
export function frameView({ doing, photo }: GlassesDevice, webcam: MediaStream | null): TemplateResult {
  return html`<div class="frame ${doing}">
    <div class="lens">${lens(photo, webcam)}</div>
    <div class="bridge" aria-hidden="true"></div>
    <div class="lens words"><span class="light" aria-hidden="true"></span>${doingWords(doing)}</div>
  </div>`;
}

function lens(photo: string | null, webcam: MediaStream | null): TemplateResult | typeof nothing {
  if (webcam !== null)
    return html`<video
      class="seen"
      autoplay
      playsinline
      muted
      .srcObject=${webcam}
      aria-label=${say('What the camera sees', '摄像头画面')}
    ></video>`;
  return photo === null
    ? nothing
    : html`<img class="seen" src=${photo} alt=${say('The photo that was sent', '已发送的照片')} />`;
}

function doingWords(doing: Doing): string {
  switch (doing) {
    case 'nothing':
      return say('ready', '就绪');
    case 'waiting':
      return say('thinking …', '思考中……');
    case 'speaking':
      return say('speaking', '正在说话');
    case 'looking':
      return say('camera', '摄像头');
  }
}

/** The question and the answer, in large type. Screen readers are told the answer when it is whole. */
export function spokenView(device: GlassesDevice): TemplateResult {
  const { question, spoken, problem, doing, hasHungUp } = device;
  const whole = doing === 'nothing' ? spoken : '';
  return html`<div class="spoken">
    ${question === null ? hint() : html`<p class="asked">${question}</p>`}
    ${spoken === '' ? nothing : html`<p class="said" aria-hidden=${doing === 'speaking'}>${spoken}</p>`}
    ${doing === 'waiting' ? html`<p class="said quiet" aria-busy="true">…</p>` : nothing}
    <p class="unseen" role="status">${whole}</p>
    ${hasHungUp ? html`<p class="quiet" role="status">${hungUpWords()}</p>` : nothing}
    ${problem === null ? nothing : html`<div class="problem" role="alert"><p>${problem}</p></div>`}
  </div>`;
}

function hint(): TemplateResult {
  return html`<p class="quiet">
    ${say('Ask what is before you: “What plant is this?”', '问问眼前的东西：“这是什么植物？”')}
  </p>`;
}

function hungUpWords(): string {
  return say('You hung up. The server has ended the run.', '你已挂断，服务器结束了此次运行。');
}

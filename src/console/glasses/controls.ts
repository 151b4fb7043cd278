/** What the user of the device can do: ask, show something, hang up. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { submitted, textIn } from '../forms.ts';
import { say } from '../say.ts';
import type { Run } from '../wire.ts';
import { link, statusView } from '../views.ts';
import { mayHaveWebcam } from './camera.ts';
import type { GlassesPage } from './page.ts';

export function askView(page: GlassesPage): TemplateResult {
  const { doing } = page.device;
  const send = submitted((form, element) => {
    const question = textIn(form, 'question').trim();
    if (question === '') return;
    element.reset();
    void page.ask(question);
  });
  const isBusy = doing === 'waiting' || doing === 'speaking';
  return html`<form class="asking" @submit=${send}>
    <label
      >${say('Say to the glasses', '对眼镜说')}
      <input
        name="question"
        required
        autocomplete="off"
        placeholder=${say('What plant is this?', '这是什么植物？')}
      />
    </label>
    <div class="buttons">
      <button class=${doing === 'looking' ? '' : 'primary'}>${say('Ask', '提问')}</button>
      ${
        isBusy
          ? html`<button type="button" class="danger" @click=${() => page.hangUp()}>
              ${say('Hang up', '挂断')}
            </button>`
          : nothing
      }
    </div>
  </form>`;
}

/** The camera was asked for. */
export function lookView(page: GlassesPage): TemplateResult {
  const { device, webcam } = page;
  const chosen = ({ target }: Event): void => {
    const file = target instanceof HTMLInputElement ? target.files?.[0] : undefined;
    if (file !== undefined) void page.choosePhoto(file);
  };
  return html`<div class="spoken">
    <p class="asked">${device.question}</p>
    ${device.spoken === '' ? nothing : html`<p class="said">${device.spoken}</p>`}
    <p role="status">
      ${say('The assistant wants to see it. What does the camera see?', '助手想看一看。摄像头看到了什么？')}
    </p>
    <div class="buttons">
      ${webcamButton(page)}
      <label class="button file"
        >${say('Choose a picture', '选择图片')}<input type="file" accept="image/*" @change=${chosen}
      /></label>
      <button @click=${() => page.hangUp()}>${say('No picture', '不拍照')}</button>
    </div>
    ${
      mayHaveWebcam() || webcam !== null
        ? nothing
        : html`<p class="hint">
            ${say('Browsers show a webcam to pages of https and of localhost only.', '浏览器只允许 https 和 localhost 页面使用摄像头。')}
          </p>`
    }
    <p class="hint">
      ${say('The run waits up to two minutes for it. Another question ends it.', '运行最多等待两分钟；提出新问题会结束它。')}
    </p>
  </div>`;
}

function webcamButton(page: GlassesPage): TemplateResult | typeof nothing {
  if (!mayHaveWebcam()) return nothing;
  if (page.webcam === null)
    return html`<button class="primary" @click=${() => void page.openWebcam()}>
      ${say('Use the webcam', '使用摄像头')}
    </button>`;
  const take = (): void => {
    const video = document.querySelector<HTMLVideoElement>('.frame video');
    if (video !== null && video.videoWidth > 0) void page.takePhoto(video);
  };
  return html`<button class="primary" @click=${take}>${say('Take the photo', '拍照')}</button>`;
}

/** Where the answer came from. */
export function runView(run: Run | null): TemplateResult | typeof nothing {
  if (run === null) return nothing;
  const { id, thread_id, status, last_error } = run;
  return html`<p class="run-line">
    ${statusView(status)} ${link(`/runs/${thread_id}/${id}`, say('The run behind it', '对应的运行'))}
    ${link(`/threads/${thread_id}`, say('The conversation', '对话'))}
    ${
      last_error === null
        ? nothing
        : html`<span class="hint"
            >${say('What the device does not say: ', '设备没有说出的原因：')}${last_error.message}</span
          >`
    }
  </p>`;
}

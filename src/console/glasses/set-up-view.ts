/** The form of the device's app: whom it asks, under which address. */
import { html, type TemplateResult } from 'lit-html';
import { say } from '../say.ts';
import { copyButton } from '../views.ts';
import { DEVICE_PATH } from './device.ts';
import type { GlassesPage } from './page.ts';
import { canSpeak } from './voice.ts';

export function setUpView(page: GlassesPage): TemplateResult {
  const { setUp, names } = page;
  const address = `${location.origin}${DEVICE_PATH}?device=${encodeURIComponent(setUp.device)}`;
  const changed =
    (take: (input: HTMLInputElement) => void) =>
    ({ target }: Event): void => {
      if (target instanceof HTMLInputElement) take(target);
      page.redraw();
    };
  return html`<section class="card">
    <h2>${say('As set up in its app', '应用中的设置')}</h2>
    <label
      >${say('Whom it asks', '询问对象')}
      <input
        list="glasses-names"
        autocomplete="off"
        .value=${setUp.who}
        @change=${changed((input) => (setUp.who = input.value))}
      />
      <span class="hint">${say('An assistant’s name, or a model', '助手名称或模型')}</span>
    </label>
    <datalist id="glasses-names">${names.map((name) => html`<option value=${name}></option>`)}</datalist>
    <label
      >${say('Device', '设备名')}
      <input
        autocomplete="off"
        maxlength="60"
        .value=${setUp.device}
        @change=${changed((input) => (setUp.device = input.value))}
      />
      <span class="hint"
        >${say(
          'A word of its own. By it the server brings a photo together with the question.',
          '每台设备各不相同。服务器凭它把照片和问题对应起来。',
        )}</span
      >
    </label>
    <label class="check"
      ><input
        type="checkbox"
        .checked=${setUp.keepsThread}
        @change=${changed((input) => (setUp.keepsThread = input.checked))}
      />
      <span
        >${say('Keep the conversation', '保留对话')}<span class="hint"
          >${say(
            'In a thread named after the device. Real glasses ask each question for itself.',
            '保存在以设备名命名的会话中。真实的眼镜每次都单独提问。',
          )}</span
        ></span
      ></label
    >
    ${
      canSpeak()
        ? html`<label class="check"
            ><input
              type="checkbox"
              .checked=${page.isAloud}
              @change=${changed((input) => (page.isAloud = input.checked))}
            />${say('Read answers aloud', '朗读回答')}</label
          >`
        : ''
    }
    <h3>${say('For real glasses', '供真实眼镜使用')}</h3>
    <p class="address"><code>${address}</code></p>
    <p class="buttons">${copyButton(() => address, say('Copy the URL', '复制 URL'))}</p>
  </section>`;
}

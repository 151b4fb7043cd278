/** What surrounds every page: the ways to the others, language and colours, notices, questions, and the form for a key. */
import { html, nothing, render, type TemplateResult } from 'lit-html';
import { BASE, type App } from './app.ts';
import { dialog } from './dialog.ts';
import { submitted, textIn } from './forms.ts';
import { folderOf } from './pages.ts';
import { currentLanguage, chooseLanguage, say } from './say.ts';
import { chooseTheme, currentTheme, themeOf } from './theme.ts';

interface NavigationEntry {
  readonly path: string;
  readonly words: string;
}

const ways = (): readonly NavigationEntry[] => [
  { path: '/', words: say('Playground', '演练场') },
  { path: '/glasses', words: say('Glasses', '眼镜') },
  { path: '/runs', words: say('Runs', '运行') },
  { path: '/threads', words: say('Threads', '会话') },
  { path: '/assistants', words: say('Assistants', '助手') },
  { path: '/files', words: say('Files', '文件') },
  { path: '/stores', words: say('Stores', '向量库') },
  { path: '/service', words: say('Service', '服务') },
];

export function drawShell(app: App): void {
  render(shell(app), document.body);
}

function shell(app: App): TemplateResult {
  return html`
    <a class="skip" href="#main">${say('To the content', '跳到内容')}</a>
    <header class="top">
      <a class="brand" href=${BASE} aria-label="Longrun"><span aria-hidden="true">Longrun</span></a>
      <nav aria-label=${say('Pages', '页面')}>
        ${ways().map(({ path, words }) => {
          const current = isWithin(app.place.path, path) ? 'page' : nothing;
          return html`<a href="${BASE}${path === '/' ? '' : path}" aria-current=${current}>${words}</a>`;
        })}
      </nav>
      ${choices(app)}
    </header>
    <main id="main" tabindex="-1" data-page=${folderOf(app.place)}>
      ${app.needsKey ? keyForm(app) : app.page?.view()}
    </main>
    <div class="notices" role="status" aria-live="polite">${noticeView(app)}</div>
    ${questionView(app)}
  `;
}

function isWithin(path: string, way: string): boolean {
  return way === '/' ? path === '/' || path.startsWith('/chat') : path === way || path.startsWith(`${way}/`);
}

function choices(app: App): TemplateResult {
  const pickLanguage = (event: Event): void => {
    chooseLanguage(valueOf(event) === 'zh' ? 'zh' : 'en');
    app.reload();
  };
  const pickTheme = (event: Event): void => {
    chooseTheme(themeOf(valueOf(event)));
    app.redraw();
  };
  const signOut = (): void => {
    app.session.signOut();
    app.reload();
  };
  const theme = currentTheme();
  const language = currentLanguage();
  return html`<div class="choices">
    <select aria-label=${say('Colours', '颜色')} @change=${pickTheme}>
      <option value="system" ?selected=${theme === 'system'}>${say('Auto', '自动')}</option>
      <option value="light" ?selected=${theme === 'light'}>${say('Light', '浅色')}</option>
      <option value="dark" ?selected=${theme === 'dark'}>${say('Dark', '深色')}</option>
    </select>
    <select aria-label="Language / 语言" @change=${pickLanguage}>
      <option value="en" ?selected=${language === 'en'}>English</option>
      <option value="zh" ?selected=${language === 'zh'}>中文</option>
    </select>
    ${app.session.key === null || app.needsKey ? nothing : html`<button class="small" @click=${signOut}>${say('Forget key', '清除密钥')}</button>`}
  </div>`;
}

const valueOf = ({ target }: Event): string => (target instanceof HTMLSelectElement ? target.value : '');

function noticeView(app: App): TemplateResult | typeof nothing {
  const { notice } = app;
  if (notice === null) return nothing;
  return html`<div class="notice ${notice.isProblem ? 'bad' : ''}">
    <span>${notice.text}</span>
    <button class="small" aria-label=${say('Close', '关闭')} @click=${() => app.dismiss()}>✕</button>
  </div>`;
}

function questionView({ question }: App): TemplateResult | typeof nothing {
  if (question === null) return nothing;
  const { text, action, answer } = question;
  const content = html`<p>${text}</p>
    <div class="buttons">
      <button @click=${() => answer(false)}>${say('Keep', '不')}</button>
      <button class="danger" @click=${() => answer(true)}>${action}</button>
    </div>`;
  return dialog(say('Are you sure?', '确定吗？'), content, () => answer(false));
}

function keyForm(app: App): TemplateResult {
  const send = submitted((form) => {
    app.session.signIn(textIn(form, 'key').trim(), form.get('kept') === 'on');
    app.reload();
  });
  const hadKey = app.session.key !== null;
  // Which key it is, only the server knows.
  const words = app.keyRefusal === null ? nothing : html`<p lang="en">${app.keyRefusal}</p>`;
  return html`<section class="narrow">
    <h1>${say('Which key?', '请输入密钥')}</h1>
    ${
      hadKey
        ? html`<div class="problem" role="alert">
            <p>${say('The server does not take this key.', '服务器不接受这个密钥。')}</p>
            ${words}
          </div>`
        : words
    }
    <p>
      ${say('Type the key here. You see what was made with it.', '在此输入密钥。你会看到用该密钥创建的内容。')}
    </p>
    <form @submit=${send}>
      <label
        >${say('Key', '密钥')}<input
          name="key"
          type="password"
          required
          autocomplete="current-password"
          autofocus
      /></label>
      <label class="check"
        ><input name="kept" type="checkbox" />${say('Keep it in this browser', '保存在此浏览器中')}</label
      >
      <button class="primary">${say('Sign in', '登录')}</button>
    </form>
  </section>`;
}

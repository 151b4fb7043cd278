/** “The same in code”: the conversation as a program, in the reader's language of choice. */
import { html, type TemplateResult } from 'lit-html';
import { ref } from 'lit-html/directives/ref.js';
import type { App } from '../app.ts';
import { say } from '../say.ts';
import { codeView, copyButton } from '../views.ts';
import type { Assistant, Message } from '../wire.ts';
import { VARIANTS, type Sample, type SampleMessage, type SamplePart } from './code-samples.ts';
import type { ThreadRecord } from './record.ts';

/** What stands for a conversation that has not begun. */
const GREETING: SampleMessage = { role: 'user', content: [{ type: 'text', text: 'Hello' }] };

/** On a narrow screen it is drawn below all else, where nobody would look for it. */
function come(panel?: Element): void {
  if (panel === undefined || !matchMedia('(width < 70rem)').matches) return;
  // Messages that come into view are laid out only then, which moves what is below them.
  const go = (): void => panel.scrollIntoView({ block: 'start', behavior: 'instant' });
  requestAnimationFrame(() => {
    go();
    requestAnimationFrame(go);
  });
}

export class CodePanel {
  isOpen = false;
  #key = 'curl';
  readonly #app: App;
  readonly #opened: () => void;

  /** @param opened is told before it is drawn */
  constructor(app: App, opened: () => void) {
    this.#app = app;
    this.#opened = opened;
  }

  toggle = (): void => {
    this.isOpen = !this.isOpen;
    if (this.isOpen) this.#opened();
    this.#app.redraw();
  };

  view(assistant: Assistant, record: ThreadRecord): TemplateResult {
    const variant = VARIANTS.find(({ key }) => key === this.#key) ?? VARIANTS[0];
    const code = variant?.code(sampleOf(this.#app.api.base, assistant, record)) ?? '';
    return html`<aside ${ref(come)} class="code-panel card" aria-label=${say('The same in code', '对应代码')}>
      <h2>${say('The same in code', '对应代码')}</h2>
      <div
        class="tabs"
        role="tablist"
        aria-label=${say('Language', '语言')}
        @keydown=${(event: KeyboardEvent) => this.#move(event)}
      >
        ${VARIANTS.map(
          ({ key, name }) =>
            html`<button
              role="tab"
              id="code-tab-${key}"
              class="small"
              aria-selected=${key === this.#key}
              aria-controls="code-sample"
              tabindex=${key === this.#key ? 0 : -1}
              @click=${() => this.#choose(key)}
            >
              ${name}
            </button>`,
        )}
      </div>
      <div id="code-sample" role="tabpanel" aria-labelledby="code-tab-${this.#key}">
        ${codeView(code, say('Code', '代码'))}
        <div class="buttons">
          ${copyButton(() => code)}
          <span class="hint"
            >${say('The key is read from the environment: LONGRUN_API_KEY.', '密钥从环境变量 LONGRUN_API_KEY 读取。')}</span
          >
        </div>
      </div>
    </aside>`;
  }

  #choose(key: string): void {
    this.#key = key;
    this.#app.redraw();
  }

  /** Arrow keys go from tab to tab. */
  #move(event: KeyboardEvent): void {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined || !(event.currentTarget instanceof HTMLElement)) return;
    const place = VARIANTS.findIndex(({ key }) => key === this.#key);
    const next = VARIANTS.at((place + step) % VARIANTS.length);
    if (next === undefined) return;
    this.#choose(next.key);
    event.currentTarget.querySelector<HTMLElement>(`#code-tab-${next.key}`)?.focus();
  }
}

function sampleOf(baseUrl: string, assistant: Assistant, { messages, turns }: ThreadRecord): Sample {
  const all = [...messages.values()];
  // Up to the last question: what follows is what the program is to hear.
  const asked = all.slice(0, all.findLastIndex(({ role }) => role === 'user') + 1);
  const told = asked.map(sampleMessage).filter(({ content }) => content.length > 0);
  const functions = assistant.tools.flatMap((tool) => (tool.type === 'function' ? [tool.function.name] : []));
  const given = [...turns.values()].flatMap(({ steps }) =>
    (steps ?? []).flatMap(({ step_details: details }) =>
      details.type === 'tool_calls'
        ? details.tool_calls.flatMap((call) =>
            call.type === 'function' && functions.includes(call.function.name) && call.function.output != null
              ? [[call.function.name, call.function.output] as const]
              : [],
          )
        : [],
    ),
  );
  const waits = functions.length > 0 || assistant.metadata['approve'] !== undefined;
  return {
    baseUrl,
    assistantId: assistant.id,
    messages: told.length === 0 ? [GREETING] : told,
    outputs: waits ? Object.fromEntries(given) : null,
  };
}

function sampleMessage({ role, content, attachments }: Message): SampleMessage {
  const parts = content.map((part): SamplePart =>
    part.type === 'text' ? { type: 'text', text: part.text.value } : part,
  );
  const files = attachments ?? [];
  return { role, content: parts, ...(files.length > 0 && { attachments: files }) };
}

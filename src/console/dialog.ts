/** The browser's own dialogs: they keep the focus inside, close by Escape, and make the rest of the page inert. */
import { html, type TemplateResult } from 'lit-html';
import { ref } from 'lit-html/directives/ref.js';
import { say } from './say.ts';

/** A dialog that is open as long as it is drawn. @param close called for Escape and for a click beside it */
export function dialog(title: string, content: TemplateResult, close: () => void): TemplateResult {
  const open = (element?: Element): void => {
    if (element instanceof HTMLDialogElement && !element.open) element.showModal();
  };
  const cancel = (event: Event): void => {
    event.preventDefault();
    close();
  };
  const beside = (event: Event): void => {
    if (event.target === event.currentTarget) close();
  };
  return html`<dialog ${ref(open)} aria-label=${title} @cancel=${cancel} @click=${beside}>
    <div class="dialog">
      <header>
        <h2>${title}</h2>
        <button class="small" @click=${close} aria-label=${say('Close', '关闭')}>✕</button>
      </header>
      ${content}
    </div>
  </dialog>`;
}

/** The browser's own dialogs: they keep the focus inside, close by Escape, and make the rest of the page inert. */
import { html, type TemplateResult } from 'lit-html';
import { ref } from 'lit-html/directives/ref.js';
import { say } from './say.ts';

/** Which element had the focus before a dialog was opened. */
const openers = new Map<HTMLDialogElement, Element | null>();

/** A dialog that is open as long as it is drawn. @param close called for Escape and for a click beside it */
export function dialog(title: string, content: TemplateResult, close: () => void): TemplateResult {
  const open = (element?: Element): void => {
    // Templates hear of their elements before these are in the page.
    if (element instanceof HTMLDialogElement) queueMicrotask(() => show(element));
    else queueMicrotask(giveFocusBack);
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

function show(element: HTMLDialogElement): void {
  if (element.open || !element.isConnected) return;
  openers.set(element, document.activeElement);
  element.showModal();
}

/** Browsers do so for dialogs that are closed; ours are taken out of the page. */
function giveFocusBack(): void {
  for (const [element, opener] of openers) {
    if (element.isConnected) continue;
    openers.delete(element);
    if (document.activeElement !== document.body) continue;
    if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    else document.querySelector<HTMLElement>('main')?.focus();
  }
}

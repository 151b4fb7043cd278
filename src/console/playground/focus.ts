/** Where the reader's keyboard and eyes go by themselves: only where the reader would have to look for it otherwise. */

/** Where fields are written to by a keyboard on the screen, which covers half of it, none opens by itself. */
const hasKeyboard = (): boolean => matchMedia('(pointer: fine)').matches;

/** Puts the focus on where the reader writes. */
export function toComposer(): void {
  if (hasKeyboard()) field()?.focus({ preventScroll: true });
}

/** The same, where nothing else has the focus, as when the page has just come. */
export function toComposerIfFree(): void {
  if (isFree()) toComposer();
}

/**
 * Brings what the run waits for to a reader who does nothing else: its first field, or else what it asks.
 * Buttons get no focus, because an Enter that comes late would decide.
 */
export function toForm(form: HTMLElement): void {
  const written = field();
  const isWriting = written !== null && written.value !== '';
  const isElsewhere = !isFree() && document.activeElement?.closest('.composer') == null;
  form.scrollIntoView({ block: form.offsetHeight > innerHeight / 2 ? 'start' : 'nearest' });
  if (isWriting || isElsewhere) return;
  const first = hasKeyboard() ? form.querySelector<HTMLElement>('textarea') : null;
  (first ?? form.querySelector<HTMLElement>('h2'))?.focus({ preventScroll: true });
}

const isFree = (): boolean => document.activeElement === null || document.activeElement === document.body;

const field = (): HTMLTextAreaElement | null => document.querySelector('#composer-text');

/** Readers who are at the end of a conversation stay there as it grows; those who read further up are left alone. */

/** How far from the end counts as the end, in pixels. */
const NEAR = 120;

/** Called before something is drawn that makes the page longer. */
export function staysAtEnd(): void {
  const page = document.documentElement;
  const isAtEnd = page.scrollHeight - innerHeight - scrollY < NEAR;
  // Behind the drawing that goes on now.
  if (isAtEnd) queueMicrotask(goToEnd);
}

export function goToEnd(): void {
  scrollTo({ top: document.documentElement.scrollHeight, behavior: 'instant' });
}

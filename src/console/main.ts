/** Starts the console. */
import { App, BASE } from './app.ts';
import { openPage } from './pages.ts';
import { drawShell } from './shell.ts';
import { applyTheme } from './theme.ts';

applyTheme();
document.body.replaceChildren();
const app = new App(drawShell, openPage);

// Links to other pages of the console open them here, without loading everything anew.
document.addEventListener('click', (event) => {
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  if (link === null || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const { origin, pathname, search, hash } = link;
  const isOurs = origin === location.origin && (pathname === BASE || pathname.startsWith(`${BASE}/`));
  if (!isOurs || hash !== '' || link.target === '_blank' || link.hasAttribute('download')) return;
  event.preventDefault();
  app.go(pathname.slice(BASE.length) + search);
});

app.start();

/** Runs: the live list of them, and one of them with all that is known about it. */
import { html } from 'lit-html';
import { listenToAdmin } from '../admin-stream.ts';
import type { OpenPage } from '../pages.ts';
import { say } from '../say.ts';

export const open: OpenPage = (app) => {
  const close = listenToAdmin(app, {});
  return { title: say('Runs', '运行'), view: () => html`<h1>${say('Runs', '运行')}</h1>`, close };
};

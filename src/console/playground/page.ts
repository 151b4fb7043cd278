/** A page that is not there yet. */
import { html } from 'lit-html';
import type { OpenPage } from '../pages.ts';

export const open: OpenPage = () => ({ title: 'playground', view: () => html`<h1>playground</h1>` });

/** A page that is not there yet. */
import { html } from 'lit-html';
import type { OpenPage } from '../pages.ts';

export const open: OpenPage = () => ({ title: 'files', view: () => html`<h1>files</h1>` });

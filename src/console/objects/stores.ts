/** A page that is not there yet. */
import { html } from 'lit-html';
import type { OpenPage } from '../pages.ts';

export const open: OpenPage = () => ({ title: 'stores', view: () => html`<h1>stores</h1>` });

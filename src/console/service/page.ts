/** A page that is not there yet. */
import { html } from 'lit-html';
import type { OpenPage } from '../pages.ts';

export const open: OpenPage = () => ({ title: 'service', view: () => html`<h1>service</h1>` });

/** A page that is not there yet. */
import { html } from 'lit-html';
import type { OpenPage } from '../pages.ts';

export const open: OpenPage = () => ({ title: 'threads', view: () => html`<h1>threads</h1>` });

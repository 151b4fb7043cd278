/** Runs: `/runs` is the live list of them, `/runs/{thread}/{run}` one with all that is known about it. */
import type { OpenPage } from '../pages.ts';
import { RunListPage } from './list-page.ts';

export const open: OpenPage = (app, place) => new RunListPage(app, place);

/** Runs: `/runs` is the live list of them, `/runs/{thread}/{run}` one with all that is known about it. */
import type { OpenPage } from '../pages.ts';
import { RunListPage } from './list-page.ts';
import { RunPage } from './run-page.ts';

export const open: OpenPage = (app, place, [threadId, runId]) =>
  threadId === undefined || runId === undefined
    ? new RunListPage(app, place)
    : new RunPage(app, threadId, runId);

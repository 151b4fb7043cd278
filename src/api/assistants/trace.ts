/** The trace of a run: where its time went, and what it cost. */
import { costOf } from '../../runs/cost.ts';
import { isTerminal } from '../../runs/run.ts';
import { traceOf } from '../../runs/trace/trace.ts';
import { runBytes } from '../../turns/budgets.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import { findRun } from './stream.ts';

/** The steps that are read, where notes are missing. */
const NEWEST = { limit: 100, order: 'desc', after: null, before: null } as const;

export function traceEndpoints(services: Services): readonly Endpoint[] {
  const { money } = services;
  const { steps, traces } = services.objects;
  return [
    {
      method: 'GET',
      path: '/threads/:thread_id/runs/:run_id/trace',
      handle: async (call) => {
        const { stored } = await findRun(services, call);
        const { ref, state } = stored;
        call.admit(runBytes(state.run));
        const notes = await traces.of(ref);
        // Notes say more than steps, but for when a client has answered.
        const isTold = notes.length > 0 && isTerminal(state.run);
        const found = isTold
          ? null
          : await steps.list(ref, { ...NEWEST, admit: (bytes) => call.admit(bytes) });
        const listed = found?.type === 'page' ? found.items.toReversed() : [];
        const { run, origin } = state;
        const cost = costOf(run.usage, money.pricesOf(run.model, origin.backend_id));
        const currency = money.isKnown ? money.currency : null;
        return json({ ...traceOf(state, notes, listed), cost, currency });
      },
    },
  ];
}

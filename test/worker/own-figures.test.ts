/** What a worker counts and measures of its own work. */
import { expect, test } from 'vitest';
import { Measures, WORKER_MEASURES, type Measured } from '../../src/measures.ts';
import type { HostedReply } from '../../src/runs/hosted.ts';
import type { CommittedTransition } from '../../src/store/report.ts';
import { OwnFigures, timedTools } from '../../src/worker/own-figures.ts';

/** How many durations were noted, by labels. */
const countsOf = (measured: Measured, name: string): Record<string, number> =>
  Object.fromEntries(
    Object.entries(measured[name] ?? {}).map(([key, [, ...counts]]) => [
      key,
      counts.reduce((sum, count) => sum + count, 0),
    ]),
  );

const TOLD = {
  seq: 1,
  project: 'p',
  run_id: 'run_1',
  thread_id: 'thread_1',
  assistant_id: 'asst_1',
  model: 'made-up',
  backend: null,
  status: 'completed',
  created_at: 100,
  started_at: null,
  completed_at: null,
  failed_at: null,
  cancelled_at: null,
  last_error: null,
  usage: null,
} as const satisfies Omit<CommittedTransition, 'type' | 'at'>;

test('a run is measured once, at its end', () => {
  const own = new OwnFigures();
  const { onTransition, count, countFailure } = own.observer;
  for (const type of ['run.queued', 'run.started', 'run.released', 'run.blocked', 'run.resumed'] as const)
    onTransition?.({ ...TOLD, type, at: 101 });
  onTransition?.({ ...TOLD, type: 'run.completed', at: 104 });
  // The clock of Redis was set back.
  onTransition?.({ ...TOLD, type: 'run.expired', at: 99 });
  count('run.completed');
  countFailure?.('server_error', null);
  const { measured, commits, failures } = own.counts;
  expect(countsOf(measured, 'run_seconds')).toEqual({ completed: 1, expired: 1 });
  expect(measured['run_seconds']?.['completed']?.[0]).toBe(4);
  expect(measured['run_seconds']?.['expired']?.[0]).toBe(0);
  expect({ commits, failures }).toEqual({
    commits: { 'run.completed': 1 },
    failures: { server_error: { '': 1 } },
  });
});

const SEARCH = {
  arguments: '{}',
  ranking_options: { ranker: 'auto', score_threshold: 0 },
  number: 1,
  results: null,
} as const;

test('calls are timed by their kind, however they end, and never by a name', async () => {
  async function* hosted(): AsyncGenerator<HostedReply, void> {
    yield { type: 'refusal', text: 'no' };
    yield { type: 'refusal', text: 'never asked for' };
  }
  const measures = new Measures(WORKER_MEASURES);
  const {
    runTool,
    runRemote,
    hosted: tools,
  } = timedTools(
    {
      runTool: async (name) => ({ name }),
      runRemote: async () => {
        throw new Error('aborted');
      },
      hosted: { run: hosted, ended: async () => {} },
    },
    measures,
  );
  const call = {
    project: 'p',
    runId: 'run_1',
    threadId: 'thread_1',
    assistantId: 'asst_1',
    callId: 'call_1',
    extras: {},
    secrets: {},
  };
  const { signal } = new AbortController();
  expect(await runTool('secret_tool', '{}', call, signal)).toEqual({ name: 'secret_tool' });
  const remote = { server: 'secret_server', tool: 'secret_tool', written: '{}', asked: call, sealed: '' };
  await expect(runRemote(remote, signal)).rejects.toThrow('aborted');
  for await (const reply of tools.run(
    {
      call: { id: 'call_1', type: 'file_search', file_search: SEARCH },
      number: 0,
      run: { id: 'run_1', model: 'm', tools: [] },
      resources: { vector_store_ids: [], file_ids: [] },
      asked: call,
    },
    signal,
  )) {
    expect(reply.type).toBe('refusal');
    break;
  }
  expect(countsOf(measures.measured, 'tool_call_seconds')).toEqual({ function: 1, mcp: 1, hosted: 1 });
  expect(JSON.stringify(measures.measured)).not.toContain('secret');
});

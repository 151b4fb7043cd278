/** What this worker counts and measures, for its reports: of transitions, of ends, of tools, of commits. */
import { Measures, WORKER_MEASURES } from '../measures.ts';
import { Tally } from '../metrics.ts';
import { isDelta } from '../runs/event.ts';
import type { HostedReply } from '../runs/hosted.ts';
import type { StoreOptions } from '../store/open.ts';
import type { Plugins } from '../runs/tool.ts';
import type { McpReport, WorkerFigures } from '../store/presence.ts';
import type { CommittedTransition } from '../store/report.ts';
import type { RunStore } from '../store/runs.ts';
import { endOf } from '../store/usage.ts';
import type { DriveOptions } from './drive.ts';

export type WorkerMeasures = Pick<Measures<keyof typeof WORKER_MEASURES>, 'note'>;

type ToolKind = 'function' | 'mcp' | 'hosted';

export class OwnFigures {
  readonly measures = new Measures(WORKER_MEASURES);
  readonly #commits = new Tally();
  readonly #failures = new Map<string, Tally>();

  /** What the store tells this of. */
  get observer(): Pick<StoreOptions, 'count' | 'countFailure' | 'onTransition'> {
    return {
      count: (what) => this.#commits.add(what),
      countFailure: (code, upstream) => {
        const tally = this.#failures.get(code) ?? new Tally();
        this.#failures.set(code, tally);
        tally.add(upstream ?? '');
      },
      onTransition: (transition) => this.#noteEnd(transition),
    };
  }

  get counts(): Pick<WorkerFigures, 'commits' | 'failures' | 'measured'> {
    return {
      commits: this.#commits.counts,
      failures: Object.fromEntries([...this.#failures].map(([code, { counts }]) => [code, counts])),
      measured: this.measures.measured,
    };
  }

  #noteEnd({ type, at, created_at }: CommittedTransition): void {
    const end = endOf(type);
    if (end !== null) this.measures.note('run_seconds', Math.max(0, at - created_at), end);
  }
}

/** How the MCP servers of the configuration do. */
export function mcpReports(plugins: Pick<Plugins, 'sources'>): readonly McpReport[] {
  return plugins
    .sources()
    .filter(({ type }) => type === 'mcp')
    .map((source) => ({ name: source.from, tools: source.tools().length, health: source.health() }));
}

/** The tools, with their calls timed. */
export function timedTools(
  { runTool, runRemote, hosted }: Pick<DriveOptions, 'runTool' | 'runRemote' | 'hosted'>,
  measures: WorkerMeasures,
): Pick<DriveOptions, 'runTool' | 'runRemote' | 'hosted'> {
  const timed = async <T>(kind: ToolKind, call: Promise<T>): Promise<T> => {
    const end = clockOf(measures, kind);
    return call.finally(end);
  };
  return {
    runTool: async (...call) => timed('function', runTool(...call)),
    runRemote: async (...call) => timed('mcp', runRemote(...call)),
    hosted: {
      ended: async (runId) => hosted.ended(runId),
      run: (...call) => timedReplies(hosted.run(...call), measures),
    },
  };
}

async function* timedReplies(
  replies: AsyncIterable<HostedReply>,
  measures: WorkerMeasures,
): AsyncGenerator<HostedReply, void> {
  const end = clockOf(measures, 'hosted');
  try {
    yield* replies;
  } finally {
    end();
  }
}

function clockOf(measures: WorkerMeasures, kind: ToolKind): () => void {
  const begunMs = performance.now();
  return () => measures.note('tool_call_seconds', (performance.now() - begunMs) / 1_000, kind);
}

/** {@link RunStore.commit}, timed where it succeeds. */
export function timedCommit(runs: Pick<RunStore, 'commit'>, measures: WorkerMeasures): RunStore['commit'] {
  return async (held, events) => {
    const sentMs = performance.now();
    const stored = await runs.commit(held, events);
    const what = events.every(isDelta) ? 'fragments' : 'events';
    measures.note('commit_seconds', (performance.now() - sentMs) / 1_000, what);
    return stored;
  };
}

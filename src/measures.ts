/**
 * What processes measure of their work, by labels: durations, as counts in fixed buckets, and amounts. Noting one costs a
 * look-up and two additions. What was noted is plain numbers, so it travels as JSON and is added up elsewhere.
 *
 * Every value of a label comes from a closed set or from the configuration, never from a request.
 */
import type { Metric, Sample } from './metrics.ts';

export interface Measure {
  readonly help: string;
  readonly labels: readonly string[];
  /** The upper bounds of its buckets, in seconds; missing for an amount. */
  readonly bounds?: readonly number[];
}

/** By the values of the labels: an amount alone, or the sum of all durations and then how many fell into each bucket. */
type Cells = Readonly<Record<string, readonly number[]>>;

/** What was noted, by measure. */
export type Measured = Readonly<Record<string, Cells>>;

const SHORT = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];
const USUAL = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const LONG = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600];

/** What workers measure. */
export const WORKER_MEASURES = {
  run_queue_seconds: {
    help: 'How long runs waited in the queue until a worker began with them, each time.',
    labels: [],
    bounds: USUAL,
  },
  run_seconds: {
    help: 'How long runs took from their creation to their end, to the second, by how they ended.',
    labels: ['outcome'],
    bounds: LONG,
  },
  model_request_seconds: {
    help: 'How long requests to model servers took to the end of the answer, each try for itself.',
    labels: ['upstream', 'outcome'],
    bounds: USUAL,
  },
  model_first_token_seconds: {
    help: 'How long model servers took to the first word, thought or call of an answer.',
    labels: ['upstream'],
    bounds: USUAL,
  },
  tool_call_seconds: {
    help: "How long calls took: of the server's own tools (function), hosted ones, and those of MCP servers that came with a request (mcp).",
    labels: ['kind'],
    bounds: USUAL,
  },
  commit_seconds: {
    help: 'How long Redis took to store events of runs and to announce them: fragments of answers, or transitions.',
    labels: ['what'],
    bounds: SHORT,
  },
  tokens_total: {
    help: 'Tokens as model servers count them: input, of it cached; output, of it reasoning. A model that the configuration does not name is other.',
    labels: ['upstream', 'model', 'kind'],
  },
  cost_total: {
    help: 'What these tokens cost, in the currency of the configuration; only of models that have prices there.',
    labels: ['upstream', 'model'],
  },
  upstream_errors_total: {
    help: 'Requests to model servers that failed, by what went wrong; further tries may have succeeded.',
    labels: ['upstream', 'kind'],
  },
  upstream_retries_total: {
    help: 'Requests that were sent to a model server again, after a failure or because they were refused in their first form.',
    labels: ['upstream'],
  },
} as const satisfies Readonly<Record<string, Measure>>;

/** What API processes measure. */
export const API_MEASURES = {
  request_seconds: {
    help: 'How long requests took to the end of their answer, streams included, by the part of the API that answered.',
    labels: ['area', 'status'],
    bounds: USUAL,
  },
  event_delay_seconds: {
    help: 'How long what is said on a channel of Redis takes to be heard in this process, tried every five seconds.',
    labels: [],
    bounds: SHORT,
  },
  first_word_seconds: {
    help: 'How long clients waited for the first word of a streamed answer or of a chat, all together (total), and for what.',
    labels: ['stage'],
    bounds: USUAL,
  },
} as const satisfies Readonly<Record<string, Measure>>;

/** Notes what one process measures. */
export class Measures<Name extends string> {
  readonly #definitions: Readonly<Record<Name, Measure>>;
  readonly #noted = new Map<Name, Map<string, number[]>>();

  constructor(definitions: Readonly<Record<Name, Measure>>) {
    this.#definitions = definitions;
  }

  /**
   * @param value a duration in seconds, or an amount to add
   * @param labels their values, in the order of the definition
   */
  note(name: Name, value: number, ...labels: readonly string[]): void {
    const { bounds } = this.#definitions[name];
    const cell = this.#cell(name, labels.join(SEPARATOR), bounds);
    cell[0] = (cell[0] ?? 0) + value;
    if (bounds === undefined) return;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket += 1;
    cell[bucket + 1] = (cell[bucket + 1] ?? 0) + 1;
  }

  #cell(name: Name, key: string, bounds: Measure['bounds']): number[] {
    const cells = this.#noted.get(name) ?? new Map<string, number[]>();
    this.#noted.set(name, cells);
    const known = cells.get(key);
    if (known !== undefined) return known;
    const cell = Array.from({ length: sizeOf(bounds) }, () => 0);
    cells.set(key, cell);
    return cell;
  }

  get measured(): Measured {
    return Object.fromEntries([...this.#noted].map(([name, cells]) => [name, Object.fromEntries(cells)]));
  }
}

const SEPARATOR = '\n';

/** The sum, each bucket, and the one for all that is beyond. */
const sizeOf = (bounds: Measure['bounds']): number => (bounds === undefined ? 1 : bounds.length + 2);

/** As metrics. What a process of another version measured otherwise is left out. */
export function metricsOf(
  definitions: Readonly<Record<string, Measure>>,
  measured: Measured,
): readonly Metric[] {
  return Object.entries(definitions).map(([name, definition]) => ({
    name: `longrun_${name}`,
    help: definition.help,
    type: definition.bounds === undefined ? 'counter' : 'histogram',
    samples: Object.entries(measured[name] ?? {}).flatMap(([key, cell]) => samplesIn(definition, key, cell)),
  }));
}

function samplesIn({ labels: names, bounds }: Measure, key: string, cell: readonly number[]): Sample[] {
  const values = names.length === 0 && key === '' ? [] : key.split(SEPARATOR);
  if (values.length !== names.length || cell.length !== sizeOf(bounds)) return [];
  const labels = Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
  const [sum = 0, ...counts] = cell;
  if (bounds === undefined) return [{ labels, value: sum }];
  let count = 0;
  const buckets = counts.map((more, index): Sample => {
    count += more;
    return { labels: { ...labels, le: String(bounds[index] ?? '+Inf') }, value: count, suffix: '_bucket' };
  });
  return [...buckets, { labels, value: sum, suffix: '_sum' }, { labels, value: count, suffix: '_count' }];
}

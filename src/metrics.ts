/**
 * Figures as Prometheus reads them, and counters for them. Knows nothing of their meaning; prom-client writes the text.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */

export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly samples: readonly Sample[];
}

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
  /** What the name of a histogram goes on with: `_bucket`, `_sum` or `_count`. */
  readonly suffix?: string;
}

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Counts by name. */
export class Tally {
  readonly #counted = new Map<string, number>();

  add(what: string): void {
    this.#counted.set(what, (this.#counted.get(what) ?? 0) + 1);
  }

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counted);
  }
}

/** Counts by labels. Their values must be few: each combination is a sample for ever. */
export class LabelledTally {
  readonly #counted = new Map<string, { readonly labels: Sample['labels']; value: number }>();

  add(labels: Readonly<Record<string, string>>, by = 1): void {
    const name = JSON.stringify(labels);
    const known = this.#counted.get(name);
    if (known === undefined) this.#counted.set(name, { labels, value: by });
    else known.value += by;
  }

  get samples(): readonly Sample[] {
    return [...this.#counted.values()].map(({ labels = {}, value }) => ({ labels, value }));
  }
}

/** Counts as samples, distinguished by a label; `labels` are added to each. */
export function samplesOf(
  counts: Readonly<Record<string, number>>,
  label: string,
  labels: Sample['labels'] = {},
): readonly Sample[] {
  return Object.entries(counts).map(([what, value]) => ({ labels: { ...labels, [label]: what }, value }));
}

/** The metrics as text; those without a sample are named all the same. */
export async function exposition(metrics: readonly Metric[]): Promise<string> {
  // Loaded when the first monitor asks: most who try the service have none.
  const { AggregatorRegistry } = await import('prom-client');
  const told = metrics.map(({ name, help, type, samples }) => ({
    name,
    help,
    type,
    aggregator: 'sum',
    values: samples.map(({ labels = {}, value, suffix = '' }) => ({
      labels,
      value,
      metricName: name + suffix,
    })),
  }));
  // A Registry takes only what counts by itself. This makes one of figures that were counted elsewhere.
  return AggregatorRegistry.aggregate([told]).metrics();
}

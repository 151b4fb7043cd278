/**
 * Figures in the text format that Prometheus reads, and counters for them. Knows nothing of their meaning.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */

export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly samples: readonly Sample[];
}

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
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

/** The metrics as text; those without a sample are left out. */
export function exposition(metrics: readonly Metric[]): string {
  return metrics
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, help, type, samples }) =>
      [
        `# HELP ${name} ${help}`,
        `# TYPE ${name} ${type}`,
        ...samples.map((sample) => line(name, sample)),
        '',
      ].join('\n'),
    )
    .join('');
}

function line(name: string, { labels = {}, value }: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`;
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' };
const escaped = (text: string): string => text.replace(/[\\"\n]/g, (character) => ESCAPES[character] ?? '');

/** What processes measure, and how it becomes metrics. */
import { expect, test } from 'vitest';
import { Measures, metricsOf, type Measure } from '../src/measures.ts';
import { exposition } from '../src/metrics.ts';

const KINDS: Readonly<Record<'wait_seconds' | 'words_total', Measure>> = {
  wait_seconds: { help: 'Waits.', labels: ['by'], bounds: [0.1, 1] },
  words_total: { help: 'Words.', labels: [] },
};

const textOf = async (measures: Measures<keyof typeof KINDS>): Promise<string> =>
  exposition(metricsOf(KINDS, measures.measured));

test('durations are counted in every bucket that holds them, and amounts are added up', async () => {
  const measures = new Measures(KINDS);
  for (const seconds of [0.1, 0.5, 0.25, 7]) measures.note('wait_seconds', seconds, 'a');
  measures.note('wait_seconds', 0.125, 'b');
  measures.note('words_total', 3);
  measures.note('words_total', 4);
  expect(await textOf(measures)).toBe(`# HELP longrun_wait_seconds Waits.
# TYPE longrun_wait_seconds histogram
longrun_wait_seconds_bucket{by="a",le="0.1"} 1
longrun_wait_seconds_bucket{by="a",le="1"} 3
longrun_wait_seconds_bucket{by="a",le="+Inf"} 4
longrun_wait_seconds_sum{by="a"} 7.85
longrun_wait_seconds_count{by="a"} 4
longrun_wait_seconds_bucket{by="b",le="0.1"} 0
longrun_wait_seconds_bucket{by="b",le="1"} 1
longrun_wait_seconds_bucket{by="b",le="+Inf"} 1
longrun_wait_seconds_sum{by="b"} 0.125
longrun_wait_seconds_count{by="b"} 1

# HELP longrun_words_total Words.
# TYPE longrun_words_total counter
longrun_words_total 7
`);
});

test('what was noted survives JSON', () => {
  const measures = new Measures(KINDS);
  measures.note('wait_seconds', 2, 'with "quotes"');
  const sent: unknown = JSON.parse(JSON.stringify(measures.measured));
  expect(sent).toEqual(measures.measured);
});

test('what a process of another version measured otherwise is left out', () => {
  const samples = metricsOf(KINDS, {
    wait_seconds: { a: [1, 1, 0], 'a\nb': [1, 1, 0, 0], c: [1, 1, 0, 0] },
    words_total: { a: [1], '': [1, 2] },
    unknown_total: { '': [1] },
  }).flatMap((metric) => metric.samples);
  expect(new Set(samples.map(({ labels }) => labels?.['by']))).toEqual(new Set(['c']));
});

/** The text format that Prometheus reads. */
import { expect, test } from 'vitest';
import { exposition, samplesOf, Tally } from '../src/metrics.ts';

test('every metric has its help and type, and its samples with their labels', async () => {
  const requests = new Tally();
  for (const status of ['200', '503', '200']) requests.add(status);
  expect(
    await exposition([
      { name: 'up', help: 'Whether it is.', type: 'gauge', samples: [{ value: 1 }] },
      {
        name: 'requests_total',
        help: 'Requests.',
        type: 'counter',
        samples: samplesOf(requests.counts, 'status', { worker: 'a' }),
      },
      { name: 'none', help: 'Without a sample.', type: 'gauge', samples: [] },
    ]),
  ).toBe(`# HELP up Whether it is.
# TYPE up gauge
up 1

# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{worker="a",status="200"} 2
requests_total{worker="a",status="503"} 1

# HELP none Without a sample.
# TYPE none gauge
`);
});

test('a label may hold anything', async () => {
  const samples = [{ labels: { name: 'a "b" \\ c\nd' }, value: 0.5 }];
  expect(await exposition([{ name: 'x', help: 'X.', type: 'gauge', samples }])).toContain(
    String.raw`x{name="a \"b\" \\ c\nd"} 0.5`,
  );
});

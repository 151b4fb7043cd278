/**
 * The dashboard and the rules of `deploy/`: a metric or a label that was renamed would leave a graph empty and an alarm
 * silent, and nobody would notice.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { API_MEASURES, WORKER_MEASURES, type Measure } from '../../src/measures.ts';
import { withService } from '../support/with-service.ts';

const REPOSITORY = resolve(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(REPOSITORY, path), 'utf8');

const dashboardSchema = z.looseObject({
  panels: z.array(
    z.looseObject({
      id: z.number(),
      title: z.string(),
      targets: z.array(z.looseObject({ expr: z.string(), legendFormat: z.string() })).default([]),
    }),
  ),
});
const rulesSchema = z.object({
  groups: z.array(
    z.object({
      name: z.string(),
      rules: z.array(
        z.object({
          alert: z.string(),
          expr: z.string(),
          for: z.string(),
          labels: z.object({ severity: z.enum(['page', 'ticket']) }),
          annotations: z.object({ summary: z.string(), description: z.string() }),
        }),
      ),
    }),
  ),
});

const { panels } = dashboardSchema.parse(JSON.parse(read('deploy/grafana/longrun.json')));
const shown = panels.flatMap(({ targets }) => targets);
const rules = rulesSchema
  .parse(parse(read('deploy/prometheus/alerts.yaml')))
  .groups.flatMap((group) => group.rules);
const expressions = [...shown, ...rules].map(({ expr }) => expr);

/** The metrics in a text, without what the samples of histograms add to their names. */
function metricsIn(text: string): ReadonlySet<string> {
  const measured = Object.keys({ ...WORKER_MEASURES, ...API_MEASURES }).map((name) => `longrun_${name}`);
  const found = [...text.matchAll(/\blongrun_[a-z_]+/g)].map(([name]) => {
    const whole = name.replace(/_(?:bucket|sum|count)$/, '');
    return measured.includes(whole) ? whole : name;
  });
  return new Set(found);
}

const { service } = withService({ workers: 1 });
let exposed = '';
beforeAll(async () => {
  exposed = await (await fetch(`${service.url}/metrics`)).text();
});
const named = (): string[] => [...exposed.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name);

describe('the dashboard and the rules', () => {
  test('are there', () => {
    expect(shown.length).toBeGreaterThan(30);
    expect(rules.length).toBeGreaterThan(8);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  });

  test('ask for metrics that a service has', () => {
    const asked = metricsIn(expressions.join('\n'));
    expect([...asked].filter((name) => !named().includes(name))).toEqual([]);
  });

  test('ask for labels that the measures have', () => {
    const measures: Readonly<Record<string, Measure>> = { ...WORKER_MEASURES, ...API_MEASURES };
    const unknown = expressions.flatMap((expr) =>
      [...expr.matchAll(/\blongrun_([a-z_]+?)(?:_bucket|_sum|_count)?\{([^}]*)\}/g)].flatMap(
        ([sample, name = '', matchers = '']) => {
          const labels = measures[name]?.labels;
          const asked = [...matchers.matchAll(/(\w+)(?:=~|!=|!~|=)"/g)].map(([, label = '']) => label);
          return labels === undefined || asked.every((label) => labels.includes(label)) ? [] : [sample];
        },
      ),
    );
    expect(unknown).toEqual([]);
  });

  test('show the labels that they group by', () => {
    for (const { expr, legendFormat } of shown)
      for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
        expect(expr.includes('by (') ? expr : `by (${label})`).toMatch(
          new RegExp(`by \\([^)]*\\b${label}\\b`),
        );
  });
});

test('every metric is explained in the documentation, which names no other', () => {
  const documented = metricsIn(read('docs/operations.md'));
  expect(named().filter((name) => !documented.has(name))).toEqual([]);
  // A metric that is there only with EMBEDDING_MODEL, and a schema of PostgreSQL.
  const known = [...named(), 'longrun_library_files_to_embed', 'longrun_cold'];
  expect([...documented].filter((name) => !known.includes(name))).toEqual([]);
});

describe.skipIf(spawnSync('promtool', ['--version']).error !== undefined)('promtool', () => {
  const run = (command: string, args: readonly string[], input = '') => {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd: REPOSITORY, input, encoding: 'utf8' });
    return { status, said: stdout + stderr };
  };

  test('accepts the rules, which are silent and loud as they should be', () => {
    expect(run('sh', ['deploy/check.sh'])).toMatchObject({ status: 0 });
  });

  test('accepts what the dashboard asks', () => {
    const folder = mkdtempSync(join(tmpdir(), 'longrun-dashboard-'));
    try {
      const asked = shown.map(({ expr }, index) => ({
        record: `asked:${index}`,
        expr: expr.replaceAll('$__rate_interval', '1m'),
      }));
      // JSON is YAML as well.
      const file = join(folder, 'rules.yaml');
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules: asked }] }));
      expect(run('promtool', ['check', 'rules', file])).toMatchObject({ status: 0 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('has nothing to say against the metrics of a service', () => {
    expect(run('promtool', ['check', 'metrics'], exposed)).toEqual({ status: 0, said: '' });
  });
});

/** Tells a campaign's result to a person: what struck, how clients fared, what was violated, and where the logs are. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Result } from './campaign.ts';
import { FAULTS } from './plan.ts';

const SHOWN_OF_EACH = 5;
const SHOWN_LENGTH = 2_000;
const ERROR_LEVEL = 50;

/** The report as lines of text; writes the service's logs to a folder that it names when anything was violated. */
export function report(result: Result, replay: string): string {
  const { faults, violations, outcomes, traffic, model, memoryMb } = result;
  const byRule = Map.groupBy(violations, ({ rule }) => rule);
  const struck = FAULTS.map((type): Row => [type, faults.get(type) ?? 0]);
  const lines = [
    ...table('faults', struck),
    ...table(
      'clients',
      [...Map.groupBy(outcomes, ({ plan }) => plan.client)].map(([name, all]) => [name, all.length]),
    ),
    ...table(
      'answers by status',
      [...traffic.statuses].map(([status, count]) => [status || 'broken', count]),
    ),
    ...table('the model', [
      ['turns asked for', model.asked.length],
      [
        'asked for again',
        model.asked.length - new Set(model.asked.map(({ plan, turn }) => `${plan.index}/${turn}`)).size,
      ],
    ]),
    ...table('seconds until a client was done', quantiles(outcomes.map(({ tookMs }) => tookMs / 1000))),
    ...table('log', logFigures(result)),
    ...table('memory in MB', Object.entries(memoryMb)),
    ...table(
      'violations',
      [...byRule].map(([rule, all]) => [rule, all.length]),
    ),
  ];
  for (const [rule, all] of byRule) {
    lines.push('', `VIOLATED: ${rule}`);
    for (const { runId, detail } of all.slice(0, SHOWN_OF_EACH))
      lines.push(`  ${runId ?? '-'}: ${detail.slice(0, SHOWN_LENGTH)}`);
  }
  if (violations.length > 0) lines.push('', `logs: ${keepLogs(result)}`, `again: ${replay}`);
  lines.push('', `${violations.length} violations`);
  return lines.join('\n');
}

type Row = readonly [name: string | number, value: number | string];

function table(title: string, rows: readonly Row[]): readonly string[] {
  const width = Math.max(0, ...rows.map(([name]) => String(name).length));
  return ['', `${title}:`, ...rows.map(([name, value]) => `  ${String(name).padEnd(width)}  ${value}`)];
}

function quantiles(values: readonly number[]): readonly Row[] {
  const sorted = values.toSorted((one, other) => one - other);
  const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(1);
  return [
    ['median', at(0.5)],
    ['95 %', at(0.95)],
    ['longest', at(1)],
  ];
}

/** Errors by their message, and the busiest second of any process. */
function logFigures({ logs }: Result): readonly Row[] {
  const errors = logs.filter(({ level }) => level >= ERROR_LEVEL);
  const seconds = Map.groupBy(logs, (line) => `${line.process} ${Math.floor(Number(line['time']) / 1000)}`);
  const faults = Map.groupBy(errors, (line) => `${line.process} ${Math.floor(Number(line['time']) / 1000)}`);
  return [
    ['lines', logs.length],
    ['most lines of a process in a second', Math.max(0, ...[...seconds.values()].map((some) => some.length))],
    ['most errors of a process in a second', Math.max(0, ...[...faults.values()].map((some) => some.length))],
    ...[...Map.groupBy(errors, ({ msg }) => msg)].map(([msg, all]): Row => [`error: ${msg}`, all.length]),
  ];
}

function keepLogs({ logs }: Result): string {
  const folder = mkdtempSync(join(tmpdir(), 'longrun-chaos-'));
  for (const [name, lines] of Map.groupBy(logs, (line) => line.process))
    writeFileSync(
      join(folder, `${name.replace(' ', '-')}.log`),
      lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
    );
  return folder;
}

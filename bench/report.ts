/** What the bench says in the end: the tables, `result.json` and `result.svg`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { rounded } from './figures.ts';
import type { FirstWords } from './measure.ts';
import { plotOf } from './plot.ts';
import { loadNow } from './processes.ts';
import { isKept, rowsOf, type Measured, type Row } from './rows.ts';
import type { Copy } from './services.ts';

/** The first words of every arm, peers included. */
export function printFirst(first: readonly FirstWords[]): void {
  console.log('First word, one request at a time, in ms:');
  console.table(
    Object.fromEntries(
      first.map(({ arm, p50, p99, added, failed }) => [
        arm,
        {
          p50: rounded(p50),
          p99: rounded(p99),
          added: rounded(added.median),
          '95 %': `${rounded(added.low)} to ${rounded(added.high)}`,
          failed,
        },
      ]),
    ),
  );
}

interface Where {
  /** The folder that the files go to. */
  readonly out: string;
  readonly notes: readonly string[];
}

/** Prints the table, writes the files. @returns the exit code: 1 when a figure misses its limit. */
export function report(copies: readonly Copy[], measured: readonly Measured[], where: Where): number {
  const { out, notes } = where;
  const tables = copies.map((copy, index) => rowsOf(measured[index] ?? {}, `${copy.name} `));
  const [rows = [], before = []] = tables;
  console.table(rows.map((row) => printed(row, before)));
  const machine = {
    at: new Date().toISOString(),
    commits: copies.map(({ name, commit }) => `${name}: ${commit}`),
    node: process.version,
    cores: cpus().length,
    processor: cpus()[0]?.model ?? 'unknown',
    memoryMb: Math.round(totalmem() / 1024 ** 2),
    load: loadNow(),
  };
  console.log(
    Object.entries(machine)
      .map(([name, value]) => `${name} ${String(value)}`)
      .join(' · '),
  );
  mkdirSync(out, { recursive: true });
  const first = measured[0]?.first ?? [];
  writeFileSync(join(out, 'result.json'), `${JSON.stringify({ machine, notes, first, tables }, null, 2)}\n`);
  const title = `Longrun ${copies[0]?.commit ?? ''}, ${machine.cores} cores, Node ${machine.node}`;
  writeFileSync(join(out, 'result.svg'), plotOf(rows, before, title));
  console.log(`written: ${join(out, 'result.json')} and result.svg`);
  return rows.every(isKept) ? 0 : 1;
}

function printed(row: Row, before: readonly Row[]): Readonly<Record<string, string | number>> {
  const old = before.find(({ name }) => name === row.name);
  const verdict = isKept(row) ? 'yes' : 'NO';
  return {
    figure: row.name,
    value: `${row.value} ${row.unit}`,
    ...(old !== undefined && {
      before: `${old.value} ${old.unit}`,
      ratio: old.value === 0 ? '' : rounded(row.value / old.value),
    }),
    ...(row.limit !== null && {
      limit: `${row.isRate ? '≥' : '≤'} ${row.limit}`,
      kept: row.isVoid ? 'void' : verdict,
    }),
    by: Object.entries(row.by)
      .filter(([, value]) => value > 0)
      .map(([role, value]) => `${role} ${value}`)
      .join(', '),
  };
}

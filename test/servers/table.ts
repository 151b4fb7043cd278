/** What was found, as a table: a row for each check, a column for each server, and below it what there is to say. */
import { z } from 'zod';

const findingSchema = z.object({
  verdict: z.enum(['yes', 'no', 'not possible']),
  /** What to know about it; empty where the verdict says it all. */
  note: z.string(),
});
export type Finding = z.infer<typeof findingSchema>;

export const resultSchema = z.object({
  title: z.string(),
  version: z.string(),
  /** The day, for example `2026-11-26`. */
  date: z.string(),
  /** Why the server was not checked; null where it was. */
  skipped: z.string().nullable(),
  /** By the titles of the checks. */
  findings: z.record(z.string(), findingSchema),
});
/** Of one server. */
export type ServerResult = z.infer<typeof resultSchema>;

const MARKS = { yes: 'yes', no: '**no**', 'not possible': 'n/a' } as const;
const MAX_NOTE = 260;

/**
 * The table, as Markdown that reads well on a terminal too.
 * @param checks the titles of the rows, in order
 */
export function tableOf(results: readonly ServerResult[], checks: readonly string[]): string {
  const shown = results.filter(({ skipped }) => skipped === null);
  const notes: string[] = [];
  const cell = (finding: Finding | undefined): string => {
    if (finding === undefined) return '–';
    if (finding.note === '') return MARKS[finding.verdict];
    const note = finding.note.replaceAll(/\s+/g, ' ').slice(0, MAX_NOTE);
    if (!notes.includes(note)) notes.push(note);
    return `${MARKS[finding.verdict]} (${notes.indexOf(note) + 1})`;
  };
  const rows = [
    ['', ...shown.map(({ title }) => title)],
    ...checks.map((check) => [check, ...shown.map(({ findings }) => cell(findings[check]))]),
  ];
  const lines = shown.length === 0 ? [] : aligned(rows);
  return [
    ...lines,
    '',
    ...notes.map((note, index) => `${index + 1}. ${escaped(note)}`),
    '',
    ...shown.map(({ title, version, date }) => `- ${title}: ${version}, checked ${date}`),
    ...results.flatMap(({ title, skipped }) =>
      skipped === null ? [] : [`- ${title} was skipped: ${escaped(skipped)}`],
    ),
    '',
  ].join('\n');
}

const BEGIN = '<!-- check:servers begins -->';
const END = '<!-- check:servers ends -->';

/** The document with `table` between its two marks; the table alone where it has none. */
export function withTable(document: string, table: string): string {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin === -1 || end === -1) return table;
  return `${document.slice(0, begin)}${BEGIN}\n\n${table.trim()}\n\n${document.slice(end)}`;
}

/** Words of servers may hold what Markdown would take for its own. */
const escaped = (text: string): string => text.replaceAll(/[<>|*_]/g, '\\$&');

function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0), 3),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)];
}

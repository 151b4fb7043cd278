/** A plot of the rows that have a limit: how much of it each uses, this version beside the one before. */
import { isKept, type Row } from './rows.ts';

const BAR = 12;
const LINE = 40;
const LEFT = 430;
const WIDTH = 420;
/** A bar ends here, however bad the figure. */
const MOST = 2;

/** The rows as an SVG image. `before` may be empty. */
export function plotOf(rows: readonly Row[], before: readonly Row[], title: string): string {
  const limited = rows.filter(({ limit }) => limit !== null && limit > 0);
  const height = 90 + limited.length * LINE;
  const bars = limited.flatMap((row, index) => {
    const old = before.find(({ name }) => name === row.name);
    const y = 70 + index * LINE;
    return [
      text(LEFT - 10, y + BAR, row.name, 'end'),
      bar(y, row, isKept(row) ? '#2a7f62' : '#c0392b'),
      ...(old === undefined ? [] : [bar(y + BAR + 2, old, '#9aa5b1')]),
    ];
  });
  const limitX = LEFT + WIDTH / MOST;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDTH + 160}" height="${height}" font-family="sans-serif" font-size="12">`,
    '<rect width="100%" height="100%" fill="white"/>',
    text(20, 25, title, 'start'),
    text(limitX, 50, 'limit', 'middle'),
    `<line x1="${limitX}" y1="56" x2="${limitX}" y2="${height - 20}" stroke="#333" stroke-dasharray="3 3"/>`,
    ...bars,
    '</svg>',
    '',
  ].join('\n');
}

/** A full share means: exactly at the limit. For a rate more is better, so the share is turned round. */
function shareOf({ value, limit, isRate }: Row): number {
  const share = isRate ? (limit ?? 1) / value : value / (limit ?? 1);
  return Math.max(0, Math.min(MOST, share));
}

function bar(y: number, row: Row, colour: string): string {
  const width = Math.max(1, (shareOf(row) * WIDTH) / MOST);
  const label = text(LEFT + width + 6, y + BAR - 2, `${row.value} ${row.unit}`, 'start');
  return `<rect x="${LEFT}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" fill="${colour}"/>${label}`;
}

function text(x: number, y: number, words: string, anchor: string): string {
  const safe = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}">${safe}</text>`;
}

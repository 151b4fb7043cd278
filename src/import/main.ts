/**
 * `npm run import FILE…`: sends objects exported from the hosted API to a running Longrun. Reads files that hold list
 * pages, single objects or lists of them, as JSON or one per line. Speaks HTTP only. A composition root.
 */
import '../node-version.ts';
import { readImportTarget } from '../config.ts';
import { batchesOf } from './batches.ts';
import { readExports } from './files.ts';
import { asSentence, send, type Totals } from './send.ts';

/** How many remarks are printed; further ones are only counted. */
const MAX_REMARKS = 200;

async function main(files: readonly string[]): Promise<number> {
  if (files.length === 0) {
    say('Which files? npm run import -- assistants.json threads.json messages/*.json');
    return 1;
  }
  const target = readImportTarget();
  const pages = files.flatMap((file) => readExports(file));
  const objects = pages.reduce((sum, page) => sum + page.length, 0);
  say(`${counted(objects, 'object')} in ${counted(files.length, 'file')}, on the way to ${target.url}.`);
  const totals: Totals = { imported: 0, unchanged: 0, refused: [], reduced: [] };
  for (const batch of batchesOf(pages)) await send(target, batch, totals);
  tell('Not taken', totals.refused);
  tell('Taken without a part of it', totals.reduced);
  const { imported, unchanged, refused } = totals;
  say(`${imported} imported, ${unchanged} were there already, ${refused.length} not taken.`);
  return refused.length === 0 ? 0 : 1;
}

const counted = (count: number, thing: string): string => `${count} ${thing}${count === 1 ? '' : 's'}`;

function tell(heading: string, remarks: Totals['refused']): void {
  for (const { id, reason } of remarks.slice(0, MAX_REMARKS)) say(`${heading}: ${id}: ${asSentence(reason)}`);
  if (remarks.length > MAX_REMARKS) say(`${heading}: ${remarks.length - MAX_REMARKS} more.`);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

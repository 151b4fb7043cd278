/**
 * `npm run import FILE…`: sends objects exported from the hosted API to a running Longrun, and with `--files FOLDER` the
 * originals of exported files. Reads files that hold list pages, single objects or lists of them, as JSON or one per line.
 * Speaks HTTP only. A composition root.
 */
import '../node-version.ts';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { readImportTarget } from '../config.ts';
import { batchesOf } from './batches.ts';
import { readExports } from './files.ts';
import { fileIn, Originals, type Original } from './originals.ts';
import { asSentence, send, sendFile, type Target, type Totals } from './send.ts';

const USAGE =
  'Usage: npm run import -- [--files FOLDER] FILE…, where FOLDER has the originals of exported files. Nothing was sent.';
const NO_FOLDER: Original = {
  type: 'missing',
  reason: 'say in which folder its original lies: npm run import -- --files FOLDER …',
};
/** How many remarks are printed; further ones are only counted. */
const MAX_REMARKS = 200;

async function main(args: readonly string[]): Promise<number> {
  const { files, originals } = readArguments(args);
  if (files.length === 0) {
    say('Which files? npm run import -- assistants.json threads.json messages/*.json');
    return 1;
  }
  const target = readImportTarget();
  const pages = files.flatMap((file) => readExports(file));
  const folder = originals === null ? null : new Originals(originals);
  const objects = pages.flat();
  say(
    `${counted(objects.length, 'object')} in ${counted(files.length, 'file')}, on the way to ${target.url}.`,
  );
  const totals: Totals = { imported: 0, unchanged: 0, refused: [], reduced: [] };
  for (const value of objects) if (isOf(value, 'file')) await takeFile(target, value, folder, totals);
  const others = pages.map((page) => page.filter((value) => !isOf(value, 'file')));
  for (const batch of batchesOf(others)) await send(target, batch, totals);
  totals.reduced.push(...unfilled(objects));
  tell('Not taken', totals.refused);
  tell('Taken without a part of it', totals.reduced);
  const { imported, unchanged, refused } = totals;
  say(`${imported} imported, ${unchanged} were there already, ${refused.length} not taken.`);
  return refused.length === 0 ? 0 : 1;
}

function readArguments(args: readonly string[]): {
  readonly files: readonly string[];
  readonly originals: string | null;
} {
  try {
    const options = { files: { type: 'string' } } as const;
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    return { files: positionals, originals: values.files ?? null };
  } catch (cause) {
    throw new Error(USAGE, { cause });
  }
}

async function takeFile(
  target: Target,
  value: unknown,
  folder: Originals | null,
  totals: Totals,
): Promise<void> {
  const file = fileIn(value);
  if (file === null) {
    totals.refused.push({ id: '(no id)', reason: 'a file without an id' });
    return;
  }
  const original = folder?.find(file) ?? NO_FOLDER;
  if (original.type === 'found') return sendFile(target, file, original.path, totals);
  const name = file.filename == null ? '' : ` (${file.filename})`;
  totals.refused.push({ id: `${file.id}${name}`, reason: original.reason });
}

/** Vector stores of which fewer files were exported than they had. */
function unfilled(objects: readonly unknown[]): Totals['reduced'] {
  const given = Map.groupBy(
    objects.flatMap((value) => (isOf(value, 'vector_store.file') ? [storeFile.safeParse(value).data] : [])),
    (file) => file?.vector_store_id ?? '',
  );
  return objects.flatMap((value) => {
    const store = isOf(value, 'vector_store') ? filledStore.safeParse(value).data : undefined;
    if (store === undefined) return [];
    const missing = store.file_counts.total - (given.get(store.id)?.length ?? 0);
    const list = `GET /v1/vector_stores/${store.id}/files`;
    return missing <= 0
      ? []
      : [
          {
            id: store.id,
            reason: `${counted(missing, 'file')} of it: none of the lists names them (${list})`,
          },
        ];
  });
}

const storeFile = z.looseObject({ vector_store_id: z.string() });
const filledStore = z.looseObject({ id: z.string(), file_counts: z.looseObject({ total: z.int() }) });
const ofKind = z.looseObject({ object: z.string() });
const isOf = (value: unknown, kind: string): boolean => ofKind.safeParse(value).data?.object === kind;

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

/**
 * What is promised of files, searches and code: each file is once in the store that the clients fill, a search finds it, code prints
 * what it prints, and when everything is deleted nothing is left of it, on disk or in the library.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { existsSync, readdirSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { processesWith } from '../support/processes.ts';
import type { Wire } from '../support/wire.ts';
import type { Violation, Wrong } from './checkers.ts';
import type { Outcome } from './clients.ts';
import type { Deployment } from './deployment.ts';
import type { Asked } from './model.ts';
import { printedBy, wordOf, type RunPlan } from './plan.ts';

const searchSchema = z.looseObject({
  file_search: z.looseObject({ results: z.array(z.looseObject({ file_id: z.string() })) }),
});
const codeSchema = z.looseObject({ code_interpreter: z.looseObject({ outputs: z.unknown() }) });
const storeSchema = z.looseObject({
  status: z.string(),
  file_counts: z.record(z.string(), z.number()),
});
const pageSchema = z.looseObject({
  data: z.array(z.looseObject({ id: z.string(), status: z.string() })),
  has_more: z.boolean(),
});
const foundSchema = z.looseObject({ data: z.array(z.looseObject({ file_id: z.string() })) });
/** Of a store's files on one page. */
const PAGE = 100;

interface HostedCalls {
  readonly plan: RunPlan;
  /** The client's file. */
  readonly fileId: string | null;
  /** Those of completed steps. */
  readonly calls: readonly unknown[];
  readonly asked: readonly Asked[];
}

/** What the calls of a run have found or printed, and what the model was told of it. */
export function checkHosted({ plan, fileId, calls, asked }: HostedCalls, wrong: Wrong): void {
  const isSearch = plan.client === 'file search';
  for (const call of calls) {
    if (isSearch) {
      const found = searchSchema.parse(call).file_search.results.map(({ file_id }) => file_id);
      if (!isDeepStrictEqual(found, [fileId]))
        wrong('a search finds each file once', `${found.join()} instead of ${fileId}`);
    } else {
      const { outputs } = codeSchema.parse(call).code_interpreter;
      if (!isDeepStrictEqual(outputs, [{ type: 'logs', logs: printedBy(plan) }]))
        wrong('code prints what it prints', JSON.stringify(outputs));
    }
  }
  const told = asked.filter((one) => one.plan === plan).flatMap(({ outputs }) => outputs);
  for (const output of told) {
    const isRight = isSearch ? output.includes(`about ${wordOf(plan)}.`) : output === printedBy(plan);
    if (!isRight) wrong('the model is told what was found and printed', output);
  }
}

/** Looks at the store, deletes it with all files, and looks for what is left. */
export async function checkFiles(
  deployment: Deployment,
  outcomes: readonly Outcome[],
  wire: Wire,
  storeId: string,
): Promise<readonly Violation[]> {
  const found: Violation[] = [];
  const wrong: Wrong = (rule, detail) => void found.push({ rule, runId: null, detail });
  const fileIds = outcomes.flatMap(({ fileId }) => fileId ?? []);
  await checkStore(wire, storeId, outcomes, wrong);
  const uploaded = await allOf(wire, '/files');
  if (!isDeepStrictEqual(uploaded.map(({ id }) => id).toSorted(), fileIds.toSorted()))
    wrong('an upload makes one file', `${uploaded.length} files of ${fileIds.length} uploads`);
  for (const { id } of uploaded) await wire.ok('DELETE', `/files/${id}`);
  await wire.ok('DELETE', `/vector_stores/${storeId}`);
  // Its start removes what killed workers have left.
  await deployment.service.startWorker();
  await checkLeft(deployment, wrong);
  return found;
}

async function checkStore(
  wire: Wire,
  storeId: string,
  outcomes: readonly Outcome[],
  wrong: Wrong,
): Promise<void> {
  const shelved = outcomes.filter(({ fileId }) => fileId !== null);
  const total = shelved.length;
  const counts = { in_progress: 0, completed: total, failed: 0, cancelled: 0, total };
  const { file_counts, status } = storeSchema.parse(await wire.ok('GET', `/vector_stores/${storeId}`));
  if (!isDeepStrictEqual(file_counts, counts) || status !== 'completed')
    wrong("a store's counts are those of its files", `${status} ${JSON.stringify(file_counts)} of ${total}`);
  const files = await allOf(wire, `/vector_stores/${storeId}/files`);
  const ids = shelved.map(({ fileId }) => fileId ?? '');
  if (!isDeepStrictEqual(files.map(({ id }) => id).toSorted(), ids.toSorted()))
    wrong('each file is once in its store', `${files.length} files instead of ${total}`);
  for (const { id, status: state } of files)
    if (state !== 'completed') wrong('every file is read', `${id} is ${state}`);
  for (const { plan, fileId } of shelved) {
    const query = { query: wordOf(plan) };
    const { data } = foundSchema.parse(
      (await wire.ask('POST', `/vector_stores/${storeId}/search`, { body: query })).body,
    );
    const places = data.map(({ file_id }) => file_id);
    if (!isDeepStrictEqual(places, [fileId]))
      wrong('a search finds each file once', `${places.join()} instead of ${fileId}`);
  }
}

async function allOf(wire: Wire, path: string): Promise<z.infer<typeof pageSchema>['data']> {
  const all: z.infer<typeof pageSchema>['data'] = [];
  for (let after = ''; ;) {
    const { body } = await wire.ask('GET', `${path}?limit=${PAGE}${after}`);
    const { data, has_more } = pageSchema.parse(body);
    all.push(...data);
    if (!has_more) return all;
    after = `&after=${data.at(-1)?.id ?? ''}`;
  }
}

async function checkLeft({ service, library, workFolder }: Deployment, wrong: Wrong): Promise<void> {
  const bytes = readdirSync(service.filesFolder, { recursive: true, withFileTypes: true });
  // An upload that broke off with its process is removed when it is an hour old.
  for (const entry of bytes)
    if (entry.isFile() && !entry.parentPath.endsWith('.incoming'))
      wrong('no bytes are left of files that are deleted', entry.name);
  for (const [rule, what] of await leftIn(workFolder)) wrong(rule, what);
  for (const [table, rows] of Object.entries(existsSync(library) ? rowsIn(library) : {}))
    if (rows !== 0) wrong('nothing is left in the library of what is deleted', `${String(rows)} ${table}`);
}

/** A worker that has just started tries its sandbox, for some moments on a busy machine. */
const TRIAL_MS = 30_000;
const LOOK_EVERY_MS = 100;

/** Folders and sandboxes that stay. */
async function leftIn(workFolder: string): Promise<readonly (readonly [rule: string, what: string])[]> {
  for (const endsMs = performance.now() + TRIAL_MS; ; await delay(LOOK_EVERY_MS)) {
    const folders = readdirSync(workFolder).filter((one) => one.startsWith('longrun-'));
    const sandboxes = processesWith(`TMPDIR=${workFolder}`).filter(({ name }) => name === 'bwrap');
    const left = [
      ...folders.map((name) => ['no folder is left of workers that are gone', name] as const),
      ...sandboxes.map(
        ({ name, pid }) => ['no sandbox is left of runs that are over', `${name} ${pid}`] as const,
      ),
    ];
    if (left.length === 0 || performance.now() > endsMs) return left;
  }
}

function rowsIn(path: string): Readonly<Record<string, unknown>> {
  const database = new DatabaseSync(path, { timeout: 30_000 });
  try {
    const count = (table: string): string => `(SELECT count(*) FROM ${table}) AS ${table}`;
    const tables = ['stores', 'files', 'chunks', 'vectors', 'attributes'];
    return { ...database.prepare(`SELECT ${tables.map(count).join()}`).get() };
  } finally {
    database.close();
  }
}

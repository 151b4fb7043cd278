/**
 * `POST /import`: imports what the hosted API listed, with ids, times and order. An extension for `npm run import`; the
 * official clients do not know it.
 */
import { z } from 'zod';
import { ApiError, keyOnTrial } from '../../errors.ts';
import type { Message } from '../../runs/thread.ts';
import type { Call } from '../http/call.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import { admitWrite } from '../../turns/trial-writes.ts';
import { attach } from '../../turns/resources.ts';
import { readAssistant, readMessage, readThread, threadOf } from './imported.ts';
import type { Read } from './imported-read.ts';
import { readStore, readStoreFile, type ImportedEntry } from './imported-stores.ts';
import { missingIn } from './mentioned.ts';

/** The number of messages that a thread may be created with. */
const MAX_ITEMS = 10_000;
const MAX_NAMED_MISSING = 10;

/** A list page as the hosted API sent it, an array of objects, or one object. */
const body = z.unknown();
const kindSchema = z.looseObject({ object: z.string(), id: z.unknown() });

/** Why an object was not imported, wholly or in part. */
interface Remark {
  readonly id: string;
  readonly reason: string;
}

/** The outcome of one request; its fields are those of the answer. */
class Report {
  imported = 0;
  unchanged = 0;
  readonly refused: Remark[] = [];
  /** Imported, except for a part. */
  readonly reduced: Remark[] = [];

  count(ids: readonly string[], taken: ReadonlySet<string>): void {
    const isNew = ids.filter((id) => taken.has(id)).length;
    this.imported += isNew;
    this.unchanged += ids.length - isNew;
  }

  /** The objects that can be stored; the others are noted in the report. */
  keep<T extends { readonly id: string }>(value: unknown, found: Read<T>): readonly T[] {
    if (found.type === 'refused') {
      this.refuse(value, found.reason);
      return [];
    }
    for (const reason of found.leftOut) this.reduced.push({ id: found.object.id, reason });
    return [found.object];
  }

  refuse(value: unknown, reason: string): void {
    const { id } = kindSchema.partial().safeParse(value).data ?? {};
    this.refused.push({ id: typeof id === 'string' ? id.slice(0, 64) : '(no id)', reason });
  }
}

export function importEndpoints(services: Services): readonly Endpoint[] {
  return [
    {
      method: 'POST',
      path: '/import',
      handle: async (call) => {
        const report = new Report();
        const items = itemsIn(call.body(body));
        await admitImport(services, call);
        await takeIn(services, call, items, report);
        const { imported, unchanged, refused, reduced } = report;
        return json({ object: 'import', imported, unchanged, refused, reduced });
      },
    },
  ];
}

/**
 * @throws {ApiError} 403 for a key that no model has answered yet: when its trial ends, its imported objects could not
 *   be told from others.
 */
async function admitImport(services: Services, call: Call): Promise<void> {
  await admitWrite(services, call, {});
  if (call.upstreamKey !== null && !services.trial.knows(call.project)) throw keyOnTrial('project full');
}

/** Stores come before their files, and both before what names them; messages come last. */
async function takeIn(
  services: Services,
  call: Call,
  items: readonly unknown[],
  report: Report,
): Promise<void> {
  const { imports, objects, settings, now } = services;
  const { project } = call;
  const byKind = Map.groupBy(items, kindOf);
  for (const [kind, values] of byKind) {
    const reason = KINDS.get(kind);
    if (reason !== null) for (const value of values) report.refuse(value, reason ?? UNKNOWN_KIND);
  }
  const of = (kind: string): readonly unknown[] => byKind.get(kind) ?? [];
  const stores = of('vector_store').flatMap((value) => report.keep(value, readStore(value, now())));
  for (const store of stores)
    report.count([store.id], new Set((await objects.vectorStores.takeIn(project, store)) ? [store.id] : []));
  const entries = of('vector_store.file').flatMap((value) => report.keep(value, readStoreFile(value)));
  await fillStores(services, project, oldestFirst(entries), report);
  const assistants = oldestFirst(
    of('assistant').flatMap((value) => report.keep(value, readAssistant(value))),
  );
  if (assistants.length > 0) report.count(idsOf(assistants), await imports.assistants(project, assistants));
  const threads = of('thread').flatMap((value) => report.keep(value, readThread(value)));
  for (const thread of threads) report.count([thread.id], await imports.thread(project, thread));
  const messages = of('thread.message').flatMap((value) =>
    report.keep(value, readMessage(value, settings.messageLimitBytes)),
  );
  const missing = await missingIn(objects, project, [...assistants, ...threads, ...messages]);
  for (const [id, ids] of missing) report.reduced.push({ id, reason: missingText(ids) });
  for (const unordered of Map.groupBy(messages, (message) => message.thread_id).values()) {
    const list = oldestFirst(unordered);
    const [first] = list;
    if (first === undefined) continue;
    const taken = await imports.messages(project, threadOf(first), list);
    report.count(idsOf(list), taken);
    await attachNew(services, call, { missing, list: list.filter(({ id }) => taken.has(id)) });
  }
}

/** Puts files into the stores that had them. Those that are there already stay as they are. */
async function fillStores(
  { objects, shelving }: Services,
  project: string,
  entries: readonly ImportedEntry[],
  report: Report,
): Promise<void> {
  const known = new Set(
    entries.length === 0
      ? []
      : await objects.files.known(
          project,
          entries.map(({ fileId }) => fileId),
        ),
  );
  for (const [storeId, own] of Map.groupBy(entries, (entry) => entry.storeId)) {
    const ref = { project, storeId };
    const isThere = await objects.vectorStores.exists(ref);
    const fresh: ImportedEntry[] = [];
    for (const entry of own) {
      if (!isThere) report.refuse(entry, 'its vector store is not here: import that as well');
      else if (!known.has(entry.fileId))
        report.refuse(entry, 'the file is not here: import its bytes as well');
      else if ((await objects.storeFiles.get({ ...ref, fileId: entry.fileId })) !== null)
        report.unchanged += 1;
      else fresh.push(entry);
    }
    if (fresh.length > 0) await shelving.put(ref, fresh);
    report.imported += fresh.length;
  }
}

/** What new messages of one thread bring for file_search and code_interpreter goes where these tools find it. */
async function attachNew(
  services: Services,
  call: Call,
  given: { readonly missing: ReadonlyMap<string, readonly string[]>; readonly list: readonly Message[] },
): Promise<void> {
  const withFiles = given.list.map(({ id, thread_id, attachments }) => ({
    thread_id,
    attachments: attachments.filter(({ file_id }) => !(given.missing.get(id) ?? []).includes(file_id)),
  }));
  const [first] = withFiles;
  if (first === undefined) return;
  await attach(services, call, { project: call.project, threadId: first.thread_id }, withFiles);
}

function missingText(ids: readonly string[]): string {
  const [some, more] = [ids.slice(0, MAX_NAMED_MISSING), ids.length - MAX_NAMED_MISSING];
  const names = some.join(', ') + (more > 0 ? ` and ${more} more` : '');
  return `it names ${names}, not here yet; once imported under the same id, it is found`;
}

const UNKNOWN_KIND =
  'its `object` is neither assistant, thread, thread.message, vector_store nor vector_store.file';
/** Kinds of objects that export programs save, with the reason why a kind is not imported; null for imported kinds. */
const KINDS: ReadonlyMap<string, string | null> = new Map([
  ['assistant', null],
  ['thread', null],
  ['thread.message', null],
  ['thread.run', 'runs are over and are not taken in; their messages are'],
  ['thread.run.step', 'steps of runs are not taken in; the messages of their runs are'],
  ['vector_store', null],
  ['vector_store.file', null],
  ['file', 'a file comes with its bytes: npm run import -- --files FOLDER … takes both'],
  ['vector_store.files_batch', 'batches are over; the files of their vector stores are taken in'],
]);

function itemsIn(value: unknown): readonly unknown[] {
  const page = z.looseObject({ data: z.array(z.unknown()) }).safeParse(value);
  const items = z.array(z.unknown()).safeParse(page.success ? page.data.data : value).data ?? [value];
  if (items.length <= MAX_ITEMS) return items;
  const text = `Send at most ${MAX_ITEMS} objects at once.`;
  throw new ApiError(400, text, { code: 'array_above_max_length' });
}

function kindOf(value: unknown): string {
  return kindSchema.partial().safeParse(value).data?.object ?? '';
}

/**
 * List pages are newest first, unless the exporter asked for the other order. Times are whole seconds, so for two
 * messages of one second only their order on the page says which came first.
 */
function oldestFirst<T extends { readonly created_at: number }>(list: readonly T[]): readonly T[] {
  const isAscending = (list[0]?.created_at ?? 0) < (list.at(-1)?.created_at ?? 0);
  return (isAscending ? list : list.toReversed()).toSorted((a, b) => a.created_at - b.created_at);
}

const idsOf = (objects: readonly Pick<Message, 'id'>[]): readonly string[] => objects.map(({ id }) => id);

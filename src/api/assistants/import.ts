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
import { readAssistant, readMessage, readThread, threadOf, type Read } from './imported.ts';

/** The number of messages that a thread may be created with. */
const MAX_ITEMS = 10_000;

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

async function takeIn(
  { imports, settings }: Services,
  { project }: Call,
  items: readonly unknown[],
  report: Report,
): Promise<void> {
  const byKind = Map.groupBy(items, kindOf);
  for (const [kind, values] of byKind) {
    const reason = KINDS.get(kind);
    if (reason !== null) for (const value of values) report.refuse(value, reason ?? UNKNOWN_KIND);
  }
  const of = (kind: string): readonly unknown[] => byKind.get(kind) ?? [];
  const assistants = oldestFirst(
    of('assistant').flatMap((value) => report.keep(value, readAssistant(value))),
  );
  if (assistants.length > 0) report.count(idsOf(assistants), await imports.assistants(project, assistants));
  const threads = of('thread').flatMap((value) => report.keep(value, readThread(value)));
  for (const thread of threads) report.count([thread.id], await imports.thread(project, thread));
  const messages = of('thread.message').flatMap((value) =>
    report.keep(value, readMessage(value, settings.messageLimitBytes)),
  );
  for (const unordered of Map.groupBy(messages, (message) => message.thread_id).values()) {
    const list = oldestFirst(unordered);
    const [first] = list;
    if (first === undefined) continue;
    report.count(idsOf(list), await imports.messages(project, threadOf(first), list));
  }
}

const UNKNOWN_KIND = 'its `object` is neither assistant nor thread nor thread.message';
/** Kinds of objects that export programs save, with the reason why a kind is not imported; null for imported kinds. */
const KINDS: ReadonlyMap<string, string | null> = new Map([
  ['assistant', null],
  ['thread', null],
  ['thread.message', null],
  ['thread.run', 'runs are over and are not taken in; their messages are'],
  ['thread.run.step', 'steps of runs are not taken in; the messages of their runs are'],
  ['file', 'there are no files here yet'],
  ['vector_store', 'there are no vector stores here yet'],
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

/** Items that a request names by their ids: each is found in the thread that its id tells, and taken as if it had been sent. */
import { ApiError, echo } from '../../errors.ts';
import type { WireItem } from '../../runs/items.ts';
import type { RunStep } from '../../runs/thread.ts';
import type { RunRef } from '../../store/keys.ts';
import type { Caller } from '../../turns/caller.ts';
import { jsonBytes } from '../../turns/budgets.ts';
import type { Services } from '../http/services.ts';
import { itemName, type ItemName } from './ids.ts';
import { AGAIN, openingItems, reasoningItem, thoughtText, type OutputItem } from './output.ts';
import { lineItems } from './line.ts';
import { inputTooLarge } from './sizes.ts';

/** Items that are read together: each may be as large as a message. */
const TOGETHER = 4;

/**
 * The items, with those that are references replaced.
 * @param param what the request calls them
 * @throws {ApiError} 404 for an item that is not there, and 400 where all of them are larger than one prompt may be.
 */
export async function resolved(
  services: Services,
  { project }: Pick<Caller, 'project'>,
  items: readonly WireItem[],
  param: 'input' | 'items',
): Promise<readonly WireItem[]> {
  const ids = items.filter(isReference).map(idOf);
  const found = new Map<string, OutputItem>();
  let leftBytes = services.settings.promptLimitBytes;
  const times = Map.groupBy(ids, (id) => id);
  const wanted = [...times.keys()];
  for (let at = 0; at < wanted.length; at += TOGETHER) {
    const some = wanted.slice(at, at + TOGETHER);
    const read = await Promise.all(some.map(async (id) => findItem(services, project, id)));
    for (const [index, id] of some.entries()) {
      const item = read[index] ?? null;
      if (item === null) throw itemNotFound(id);
      leftBytes -= jsonBytes(item) * (times.get(id)?.length ?? 0);
      if (leftBytes < 0) throw inputTooLarge(param, services.settings);
      found.set(id, item);
    }
  }
  return items.map((item) => (isReference(item) ? (found.get(idOf(item)) ?? item) : item));
}

const isReference = ({ type }: WireItem): boolean => type === 'item_reference';
const idOf = (item: WireItem): string => String(item['id']);

/** An item of a project, by its id; null where there is none. */
export async function findItem(services: Services, project: string, id: string): Promise<OutputItem | null> {
  const name = itemName(id);
  if (name.threadId === null) return null;
  if (name.prefix === 'mcpl') return openingNamed(services, id, runNamed(project, name));
  return name.prefix === 'rs' && name.number !== null
    ? thoughtNamed(services, project, id, name)
    : itemNamed(services, project, id, name);
}

async function itemNamed(
  { objects }: Services,
  project: string,
  id: string,
  { prefix, own, number, threadId }: ItemName,
): Promise<OutputItem | null> {
  const ref = { project, threadId: threadId ?? '' };
  if (number !== null) {
    const found = await objects.line.find(ref, `step_${own}`);
    // Whose the calls were is told by the id: those of the server's own tools have another prefix than those of clients.
    const items = found === null ? [] : lineItems(found, prefix === 'mcp' || prefix === 'ws');
    const isNamed = (item: OutputItem): boolean => item.id === id || itemName(item.id).number === number;
    return items.find((item) => item.id === id) ?? items.find(isNamed) ?? null;
  }
  const found =
    (prefix === 'msg' ? await objects.line.find(ref, `msg_${own}`) : null) ??
    (await objects.line.find(ref, `item_${own}`));
  return found === null ? null : (lineItems(found).find((item) => item.id === id) ?? null);
}

/** The run of an item that is named by it. */
function runNamed(project: string, { own, threadId }: ItemName): RunRef {
  const thread = threadId ?? '';
  return { project, threadId: thread, runId: `run_${own}_${thread.slice('thread_'.length)}` };
}

/** An item that was made before its run. */
async function openingNamed({ runs }: Services, id: string, ref: RunRef): Promise<OutputItem | null> {
  const state = (await runs.get(ref))?.stored.state;
  if (state === undefined) return null;
  return openingItems({ ...state, seal: null }).find((item) => item.id === id) ?? null;
}

/** A thought is kept with the step that it led to, and named by that step's number in its run. */
async function thoughtNamed(
  { objects }: Services,
  project: string,
  id: string,
  name: ItemName,
): Promise<OutputItem | null> {
  const ref = runNamed(project, name);
  const query = { limit: 100, order: 'asc', after: null, before: null } as const;
  const page = await objects.steps.list(ref, query);
  const steps: readonly RunStep[] = page.type === 'page' ? page.items : [];
  const at = (name.number ?? 0) % AGAIN;
  // Those that led to calls after some words are kept with the calls.
  const candidates = steps.slice(at, at + 2).map((step) => step.id);
  const thoughts = await objects.line.thoughts(ref, candidates);
  const kept = candidates.map((stepId) => thoughts.get(stepId)).find((found) => found !== undefined);
  const text = thoughtText(kept ?? []);
  if (text === '') return null;
  const run = { id: ref.runId, thread_id: ref.threadId, tools: [], started_at: null };
  return reasoningItem({ run, origin: { server_tools: [] }, seal: null }, id, text, 'completed');
}

export function itemNotFound(id: string): ApiError {
  return new ApiError(404, `Item with id '${echo(id)}' not found.`);
}

/**
 * A response that failed leaves nothing in its conversation: its client asks again, and the question would stand there twice.
 * What it brought is taken out when the next response joins.
 */
import type { ThreadRef } from '../../store/keys.ts';
import type { Means } from '../../turns/means.ts';

const PAGE = 100;

/** Takes out what the last response of a conversation brought, where it failed. Done twice it changes nothing. */
export async function withdrawFailed({ objects, runs }: Means, conversation: ThreadRef): Promise<void> {
  const { runId, holder } = await objects.line.head(conversation);
  if (runId === null || holder !== null) return;
  const ref = { ...conversation, runId };
  const [found, place] = await Promise.all([runs.get(ref), objects.line.placeOf(ref)]);
  const { run, origin } = found?.stored.state ?? {};
  if (place === null || run?.failed_at == null || origin?.response === undefined) return;
  const { inputs } = origin.response;
  const said = await objects.messages.list(ref, runId, {
    limit: 100,
    order: 'asc',
    after: null,
    before: null,
  });
  const messages = said.type === 'page' ? said.items : [];
  await Promise.all(messages.map(async (message) => objects.messages.delete(ref, message)));
  for (let before = place, hasMore = inputs > 0; hasMore;) {
    const range = { after: place - inputs - 1, before, order: 'desc', limit: PAGE } as const;
    const page = await objects.line.items(ref, range);
    await Promise.all(
      page.items.map(async ({ item }) =>
        item.object === 'thread.message'
          ? objects.messages.delete(ref, item)
          : objects.line.remove(ref, item.id),
      ),
    );
    before = page.edge ?? before;
    ({ hasMore } = page);
  }
}

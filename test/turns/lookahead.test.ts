/** Reading ahead of an answer without losing any of it, and what is said while there is nothing to read. */
import { describe, expect, test, vi } from 'vitest';
import { Lookahead } from '../../src/turns/lookahead.ts';
import { isAudible, isSpeakable, type Audible, type TurnEvent } from '../../src/turns/turn-events.ts';

const word = (text: string): Audible => ({ type: 'text', text });

/** A source that a test feeds by hand; tells whether its reader has left it. */
function byHand() {
  const items: PromiseWithResolvers<string | null>[] = [Promise.withResolvers()];
  const left = Promise.withResolvers<void>();
  async function* source(): AsyncGenerator<readonly Audible[], void> {
    try {
      for (let index = 0; ; index += 1) {
        const item = await items[index]?.promise;
        if (item === null || item === undefined) return;
        yield [word(item)];
      }
    } finally {
      left.resolve();
    }
  }
  const feed = (item: string | null): void => {
    const last = items.at(-1);
    items.push(Promise.withResolvers());
    last?.resolve(item);
  };
  return { source: source(), feed, left: left.promise };
}

describe('reading ahead', () => {
  test('shows what comes next, without taking it', async () => {
    const { source, feed } = byHand();
    const ahead = new Lookahead(source, isAudible);
    feed('a');
    feed('b');
    feed(null);
    expect(await ahead.peek(10_000)).toEqual({ done: false, value: [word('a')] });
    expect(await ahead.peek(10_000)).toEqual({ done: false, value: [word('a')] });
    expect(await Array.fromAsync(ahead.read())).toEqual([[word('a')], [word('b')]]);
  });

  test('gives up waiting, and misses nothing by it', async () => {
    const { source, feed } = byHand();
    const ahead = new Lookahead(source, isAudible);
    expect(await ahead.peek(0)).toBeNull();
    feed('late');
    feed(null);
    expect(await Array.fromAsync(ahead.read())).toEqual([[word('late')]]);
  });

  test('shows the end of a source that says nothing, and the error of one that fails', async () => {
    const { source, feed } = byHand();
    feed(null);
    expect(await new Lookahead(source, isAudible).peek(10_000)).toEqual({ done: true, value: undefined });
    async function* failing(): AsyncGenerator<readonly Audible[], void> {
      yield await Promise.reject(new Error('no'));
    }
    const ahead = new Lookahead(failing(), isAudible);
    await expect(ahead.peek(10_000)).rejects.toThrow('no');
    await expect(Array.fromAsync(ahead.read())).rejects.toThrow('no');
  });

  test('lets go of the source when it is closed', async () => {
    const { source, feed, left } = byHand();
    feed('a');
    const ahead = new Lookahead(source, isAudible);
    await ahead.peek(10_000);
    await ahead.close();
    await expect(left).resolves.toBeUndefined();
  });

  test('lets go of the source when its own reader leaves', async () => {
    const { source, feed, left } = byHand();
    feed('a');
    feed('b');
    const ahead = new Lookahead(source, isAudible);
    await ahead.peek(10_000);
    for await (const say of ahead.read()) {
      expect(say).toEqual([word('a')]);
      break;
    }
    await left;
  });
});

describe('the filler', () => {
  test('comes first when the answer is late', async () => {
    const { source, feed } = byHand();
    const says = new Lookahead(source, isAudible).read({ afterMs: 0, text: 'Hm.' });
    expect((await says.next()).value).toEqual([{ ...word('Hm.'), isFiller: true }]);
    feed('Yes.');
    feed(null);
    expect(await Array.fromAsync(says)).toEqual([[word('Yes.')]]);
  });

  test('stays away when the answer is there', async () => {
    const { source, feed } = byHand();
    feed('Yes.');
    feed(null);
    const says = new Lookahead(source, isAudible).read({ afterMs: 10_000, text: 'Hm.' });
    expect(await Array.fromAsync(says)).toEqual([[word('Yes.')]]);
  });

  test('is not for an answer that is over, such as one whose caller has gone', async () => {
    const { source, feed } = byHand();
    feed(null);
    expect(
      await Array.fromAsync(new Lookahead(source, isAudible).read({ afterMs: 10_000, text: 'Hm.' })),
    ).toEqual([]);
  });
});

test('what is passed without a wait comes after the filler, never before it or in its place', async () => {
  const { source, feed } = byHand();
  const passed: Audible[] = [];
  const reader: { take: ((batch: readonly TurnEvent[]) => void) | null } = { take: null };
  const pass = (given: typeof reader.take): void => {
    reader.take = given;
  };
  const says = new Lookahead(Object.assign(source, { pass }), isSpeakable).read({ afterMs: 0, text: 'Hm.' });
  says.pass?.((batch) => passed.push(...batch));
  expect(reader.take).toBeNull();
  expect((await says.next()).value).toEqual([{ ...word('Hm.'), isFiller: true }]);
  expect(reader.take).toBeNull();
  const rest = says.next();
  await vi.waitUntil(() => reader.take !== null);
  reader.take?.([word('a'), { type: 'thought', field: 'reasoning', text: 'Hm.' }]);
  reader.take?.([{ type: 'thought', field: 'reasoning', text: 'Hm.' }]);
  expect(passed).toEqual([word('a')]);
  feed('b');
  expect((await rest).value).toEqual([word('b')]);
});

test('the server’s own tools are not heard', async () => {
  async function* says(): AsyncGenerator<readonly TurnEvent[], void> {
    yield [{ type: 'tool.start', id: 'c', name: 'SEARCH', arguments: '{}' }];
    yield [{ type: 'tool.end', id: 'c', name: 'SEARCH', arguments: '{}', output: '[]' }, word('Found.')];
  }
  const ahead = new Lookahead(says(), isAudible);
  expect(await ahead.peek(10_000)).toEqual({ done: false, value: [word('Found.')] });
  expect(await Array.fromAsync(ahead.read())).toEqual([[word('Found.')]]);
});

test('thoughts are heard by those who do not speak them', async () => {
  const text = 'Hm.';
  async function* thinking(): AsyncGenerator<readonly TurnEvent[], void> {
    yield [{ type: 'thought', field: 'reasoning', text }];
    yield [{ type: 'thought.dropped', text }, word('Found.')];
  }
  const heard = async (isHeard: typeof isAudible): Promise<readonly TurnEvent[]> =>
    (await Array.fromAsync(new Lookahead(thinking(), isHeard).read())).flat();
  expect(await heard(isAudible)).toHaveLength(3);
  expect(await heard(isSpeakable)).toEqual([word('Found.')]);
});

/** How frames become the texts of a stream: what comes together goes together, and nothing is held while nothing comes. */
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { encoded, type Encoder } from '../../src/api/http/encode.ts';

/** Shows every event, until one says `end`. */
class Plain implements Encoder<string> {
  isOver = false;
  encode(event: string): string {
    this.isOver = event === 'end';
    return event;
  }
}

/** A source that gives these batches, then waits; tells whether it was closed. */
function sourceOf(...batches: readonly (readonly string[])[]) {
  const left = [...batches];
  const source = {
    isClosed: false,
    [Symbol.asyncIterator]: () => source,
    next: async (): Promise<IteratorResult<readonly string[]>> => {
      const value = left.shift();
      return value === undefined ? new Promise(() => {}) : { done: false, value };
    },
    return: async (): Promise<IteratorResult<readonly string[]>> => {
      source.isClosed = true;
      return { done: true, value: undefined };
    },
  };
  return source;
}

describe('the texts of a stream', () => {
  test('are one for each batch, and none for a batch that shows nothing', async () => {
    const texts = encoded(sourceOf(['a', 'b'], [''], ['c'], ['end', 'never']), new Plain(), 'first');
    expect(await Array.fromAsync(texts)).toStrictEqual(['first', 'ab', 'c', 'end']);
  });

  test('are several where a batch is long', async () => {
    const long = 'x'.repeat(40_000);
    const texts = encoded(sourceOf([long, long, 'a', 'end']), new Plain());
    expect(await Array.fromAsync(texts)).toStrictEqual([long + long, 'aend']);
  });

  test('wait for frames that take time, in order', async () => {
    const late: Encoder<string> = { isOver: false, encode: async (event) => turn(event) };
    const texts = encoded(sourceOf(['a', 'b']), late);
    expect(await texts.next()).toStrictEqual({ done: false, value: 'ab' });
  });

  test('close their source at the end, when their reader leaves, and when a frame cannot be made', async () => {
    const [ended, left, broken] = [sourceOf(['end']), sourceOf(), sourceOf(['a'])];
    await Array.fromAsync(encoded(ended, new Plain()));
    for await (const text of encoded(left, new Plain(), 'first')) {
      expect(text).toBe('first');
      break;
    }
    const failing = {
      isOver: false,
      encode: (): never => {
        throw new Error('no');
      },
    };
    await expect(Array.fromAsync(encoded(broken, failing))).rejects.toThrow('no');
    expect([ended, left, broken].map(({ isClosed }) => isClosed)).toStrictEqual([true, true, true]);
  });

  test('come before the failure of a later frame', async () => {
    const failing: Encoder<string> = {
      isOver: false,
      encode: (event) => {
        if (event === 'b') throw new Error('no');
        return event;
      },
    };
    const source = sourceOf(['a', 'b', 'c']);
    const texts = encoded(source, failing);
    expect(await texts.next()).toStrictEqual({ done: false, value: 'a' });
    await expect(texts.next()).rejects.toThrow('no');
    expect(source.isClosed).toBe(true);
  });

  test('are passed as they come, where the source passes its batches', async () => {
    const reader: { take: ((batch: readonly string[]) => void) | null } = { take: null };
    const pass = (given: typeof reader.take): void => {
      reader.take = given;
    };
    const texts = encoded(Object.assign(sourceOf(['a']), { pass }), new Plain());
    const passed: string[] = [];
    texts.pass?.((text) => passed.push(text));
    expect((await texts.next()).value).toBe('a');
    void texts.next();
    for (const batch of [['b', 'c'], [''], ['d']]) reader.take?.(batch);
    expect(passed).toStrictEqual(['bc', 'd']);
    texts.pass?.(null);
    expect(reader.take).toBeNull();
  });

  test('do not hold what was told while nothing follows', async () => {
    const batches = [['a']];
    const [told] = batches.map((batch) => new WeakRef(batch));
    const next = async (): Promise<IteratorResult<readonly string[]>> => {
      const value = batches.shift();
      return value === undefined ? new Promise(() => {}) : { done: false, value };
    };
    const texts = encoded({ [Symbol.asyncIterator]: () => ({ next }) }, new Plain());
    await texts.next();
    void texts.next();
    await turn();
    setFlagsFromString('--expose-gc');
    runInNewContext('gc()');
    expect(told?.deref()).toBeUndefined();
  });
});

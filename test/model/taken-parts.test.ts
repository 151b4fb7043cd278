/** Parts that are taken in the moment they come, while who reads the answer waits for the next one. */
import { afterEach, describe, expect, test } from 'vitest';
import type { ModelPart } from '../../src/runs/model.ts';
import { ask, begin, chunk, DONE, modelAt, startUpstream, STOP, type TestUpstream } from './upstream.ts';

describe('parts that are taken as they come', () => {
  let upstream: TestUpstream;
  afterEach(async () => {
    await upstream.stop();
  });

  test('are all but the first, the last, and those that are refused; together they are the answer', async () => {
    const said = ['a', 'b', 'ä"\\', 'd', 'e'];
    const next = Promise.withResolvers<(() => void) | null>();
    upstream = await startUpstream((response) => {
      begin(response);
      const left = said.map((content) => chunk({ content }));
      const more = (): void => {
        const packet = left.shift();
        if (packet === undefined) response.end(STOP + DONE);
        else response.write(packet);
      };
      more();
      next.resolve(more);
    });
    const parts: ModelPart[] = [];
    const taken: string[] = [];
    const more = async (): Promise<void> => (await next.promise)?.();
    const take = (part: ModelPart): boolean => {
      if (part.type !== 'text' || part.text === 'd') return false;
      parts.push(part);
      taken.push(part.text);
      void more();
      return true;
    };
    for await (const part of modelAt(upstream.url).stream(ask(), new AbortController().signal, take)) {
      parts.push(part);
      if (part.type === 'text') void more();
    }
    expect(parts).toStrictEqual([
      ...said.map((text) => ({ type: 'text', text })),
      { type: 'finish', reason: 'stop', usage: null },
    ]);
    expect(taken).toStrictEqual(['b', 'ä"\\', 'e']);
  });
});

/** What building a prompt costs: as much as the conversation is long. */
import { describe, expect, test } from 'vitest';
import type { ChatMessage } from '../../src/runs/model.ts';
import { buildPrompt } from '../../src/runs/prompt.ts';
import { stateAfter } from './histories.ts';

describe('the work grows with the conversation, not with its square', () => {
  /** How often a prompt looks at the contents of a request's messages, or at the ids of their calls. */
  function looks(count: number): number {
    let found = 0;
    const counted = <T extends object>(target: T, key: keyof T): T =>
      new Proxy(target, {
        get: (from, name, self): unknown => {
          if (name === key) found += 1;
          return Reflect.get(from, name, self);
        },
        // Copies are looks as well.
        ownKeys: (from) => {
          found += 1;
          return Reflect.ownKeys(from);
        },
      });
    const ids = Array.from({ length: count }, (_, index) => `call_${index}`);
    const tool_calls = ids.map((id) =>
      counted({ id, type: 'function', function: { name: 'take_a_photo', arguments: '{}' } } as const, 'id'),
    );
    const input: readonly ChatMessage[] = [
      { role: 'user', content: 'look around' },
      { role: 'assistant', content: null, tool_calls },
      // The last calls are answered first, which is worst for whoever searches from the beginning.
      ...ids
        .toReversed()
        .map((id) =>
          counted<ChatMessage>(
            { role: 'tool', tool_call_id: id, content: 'data:image/png;base64,AAAA' },
            'content',
          ),
        ),
    ];
    buildPrompt(
      stateAfter(['run.started']),
      { input, items: [] },
      { contextTokens: 100_000, first: true, last: false },
    );
    return found;
  }

  test('twice the answers to calls are twice the work', () => {
    const once = looks(500);
    expect(once).toBeGreaterThanOrEqual(500);
    expect(looks(1_000)).toBeLessThanOrEqual(2 * once);
  });
});

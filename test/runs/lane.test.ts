/** Fragments that go another way than all else: they, and they alone, and together it is the same run. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { noHostedTools, noRemoteTools } from '../support/hosted.ts';
import type { Lane } from '../../src/runs/ask.ts';
import { isDelta, type RunEvent } from '../../src/runs/event.ts';
import { execute } from '../../src/runs/execute.ts';
import type { Model, ModelPart, ModelRequest, TakePart } from '../../src/runs/model.ts';
import type { Run } from '../../src/runs/thread.ts';
import { stateAfter } from './histories.ts';

/** A model that says these parts, and offers each of them first. */
class OfferingModel implements Model {
  readonly #parts: readonly ModelPart[];

  constructor(parts: readonly ModelPart[]) {
    this.#parts = parts;
  }

  async *stream(
    _request: ModelRequest,
    _signal: AbortSignal,
    take: TakePart = () => false,
  ): AsyncGenerator<ModelPart, void> {
    for (const part of this.#parts) if (!take(part)) yield part;
  }
}

/** All events of a run, in their order, and those that went through the lane. */
async function play(parts: readonly ModelPart[], settings: Partial<Run>, hasLane: boolean) {
  const state = stateAfter(['run.started']);
  const run: Run = {
    ...state.run,
    instructions: 'Be kind.',
    tools: [
      {
        type: 'function',
        function: { name: 'SEARCH', parameters: { type: 'object' }, strict: false },
      },
    ],
    ...settings,
  };
  const events: RunEvent[] = [];
  const added: RunEvent[] = [];
  let asked = 0;
  const lane: Lane = {
    get isOpen() {
      return (asked += 1) % 3 > 0;
    },
    add: (fragments) => {
      events.push(...fragments);
      added.push(...fragments);
    },
  };
  let ids = 0;
  const batches = execute(
    { ...state, run },
    { input: [], items: [] },
    {
      model: new OfferingModel(parts),
      runTool: async () => ({ error: 'no tool was expected to run' }),
      runHosted: noHostedTools,
      runRemote: noRemoteTools,
      secretsIn: () => ({}),
      now: () => 2_000,
      newId: (prefix) => `${prefix}_${(ids += 1)}`,
      signal: new AbortController().signal,
      contextTokens: () => 10_000,
      ...(hasLane && { lane }),
    },
  );
  for await (const batch of batches) events.push(...batch);
  return { events, added };
}

const text = (word: string): ModelPart => ({ type: 'text', text: word });
const END: ModelPart = { type: 'finish', reason: 'stop', usage: null };

test('fragments go through a lane that is open, once there is something that they add to', async () => {
  const { added } = await play(['a', 'b', 'c', 'd'].map(text).concat(END), {}, true);
  expect(added).toStrictEqual(['b', 'd'].map((word) => ({ type: 'message.delta', text: word })));
});

test('nothing else does, and the run is the same', async () => {
  const moves = fc.array(
    fc.record({ kind: fc.constantFrom('text', 'thought', 'again', 'call', 'arguments'), pick: fc.nat() }),
  );
  const settings: fc.Arbitrary<Partial<Run>> = fc.record({
    parallel_tool_calls: fc.boolean(),
    tool_choice: fc.constantFrom('auto' as const, 'none' as const),
  });
  await fc.assert(
    fc.asyncProperty(moves, settings, async (chosen, set) => {
      let calls = 0;
      const parts = chosen.map(({ kind, pick }): ModelPart => {
        if (kind === 'thought') return { type: 'thought', field: 'reasoning', text: `${pick} ` };
        if (kind === 'again') return { type: 'again' };
        if (kind === 'call') return { type: 'call', index: calls, id: `call_${calls++}`, name: 'SEARCH' };
        if (kind === 'arguments' && calls > 0)
          return { type: 'arguments', index: pick % calls, text: `${pick}` };
        return text(`${pick} `);
      });
      const { events, added } = await play([...parts, END], set, true);
      expect(added.every(isDelta)).toBe(true);
      expect(events).toStrictEqual((await play([...parts, END], set, false)).events);
    }),
    { numRuns: 500 },
  );
});

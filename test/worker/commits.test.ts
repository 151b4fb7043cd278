/** Group commit, over a commit that goes through exactly when the test says so. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pushMerged, type RunEvent } from '../../src/runs/event.ts';
import type { StoredRun } from '../../src/store/runs.ts';
import { Commits } from '../../src/worker/commits.ts';
import { stateAfter } from '../runs/histories.ts';

const START: StoredRun = {
  ref: { project: 'p', threadId: 'thread_1', runId: 'run_1' },
  state: stateAfter(['run.started']),
  version: 'v',
  seq: 0,
};

const delta = (text: string): RunEvent => ({ type: 'message.delta', text });
const toolDelta = (index: number): RunEvent => ({ type: 'tool.delta', index, arguments: '.' });
const structural: RunEvent = { type: 'message.completed', at: 1 };

/** A store whose commits wait for the test to let them through or fail, and a beat that comes when the test says so. */
class Gate {
  /** Commits that were asked for, in order. */
  readonly asked: { readonly held: StoredRun; readonly events: readonly RunEvent[] }[] = [];
  readonly failures: unknown[] = [];
  private waiting: PromiseWithResolvers<void> | null = null;
  private joined: (() => void)[] = [];
  private readonly hasBeat: boolean;
  readonly commits = new Commits(START, {
    commit: async (held, events) => {
      // Two at a time would race for the same place in the log.
      if (this.waiting !== null) throw new Error('two commits at once');
      this.asked.push({ held, events });
      this.waiting = Promise.withResolvers();
      await this.waiting.promise;
      return { ...held, seq: held.seq + events.length };
    },
    beat: { join: (flush) => (this.hasBeat ? this.joined.push(flush) : flush()) },
    onFailure: (error) => this.failures.push(error),
  });

  /** @param hasBeat without a beat, everything leaves as soon as the commit before it is through */
  constructor(hasBeat = false) {
    this.hasBeat = hasBeat;
  }

  /** How many wait for the next beat. */
  get joins(): number {
    return this.joined.length;
  }

  beat(): void {
    for (const flush of this.joined.splice(0)) flush();
  }

  get open(): boolean {
    return this.waiting === null;
  }

  get texts(): readonly string[] {
    return this.asked.map(({ events }) =>
      events.map((event) => (event.type === 'message.delta' ? event.text : event.type)).join(' '),
    );
  }

  /** Lets the commit under way through. */
  async pass(): Promise<void> {
    this.take().resolve();
    await settle();
  }

  async fail(error: unknown): Promise<void> {
    this.take().reject(error);
    await settle();
  }

  private take(): PromiseWithResolvers<void> {
    const { waiting } = this;
    if (waiting === null) throw new Error('no commit is under way');
    this.waiting = null;
    return waiting;
  }
}

/** Lets everything happen that waits for nobody. */
const settle = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Follows a promise without waiting for it. */
function watch(promise: Promise<void>): { done: boolean; error: unknown } {
  const seen: { done: boolean; error: unknown } = { done: false, error: null };
  promise.then(
    () => (seen.done = true),
    (error: unknown) => (seen.error = error),
  );
  return seen;
}

describe('fragments', () => {
  test('go out at once when nothing is under way, and nobody waits for them', async () => {
    const gate = new Gate();
    await gate.commits.push([delta('a')]);
    expect(gate.texts).toStrictEqual(['a']);
    await gate.pass();
    await gate.commits.push([delta('b')]);
    expect(gate.texts).toStrictEqual(['a', 'b']);
  });

  test('gather while a commit is under way, melt, and go as one', async () => {
    const gate = new Gate();
    for (const text of ['a', 'b', 'c', 'd']) await gate.commits.push([delta(text)]);
    expect(gate.texts).toStrictEqual(['a']);
    await gate.pass();
    expect(gate.texts).toStrictEqual(['a', 'bcd']);
    await gate.pass();
    await gate.commits.settled();
    expect(gate.texts).toHaveLength(2);
  });

  test('that are added gather likewise, in their order, until there are too many', async () => {
    const gate = new Gate();
    gate.commits.add([delta('a')]);
    await gate.commits.push([delta('b')]);
    gate.commits.add([delta('c')]);
    expect(gate.texts).toStrictEqual(['a']);
    await gate.pass();
    expect(gate.texts).toStrictEqual(['a', 'bc']);
    for (let count = 0; count < 256; count++) {
      expect(gate.commits.isOpen).toBe(true);
      gate.commits.add([toolDelta(0)]);
    }
    expect(gate.commits.isOpen).toBe(false);
    await gate.pass();
    expect(gate.commits.isOpen).toBe(true);
  });

  test('are not taken any more when a commit has failed', async () => {
    const gate = new Gate();
    gate.commits.add([delta('a')]);
    await gate.fail(new Error('refused'));
    expect(gate.commits.isOpen).toBe(false);
    await expect(gate.commits.push([delta('b')])).rejects.toThrow('refused');
  });

  test('each commit builds on the run as the one before it left it', async () => {
    const gate = new Gate();
    await gate.commits.push([toolDelta(0), toolDelta(1), toolDelta(0)]);
    await gate.commits.push([toolDelta(1)]);
    await gate.pass();
    await gate.pass();
    expect(gate.asked.map(({ held }) => held.seq)).toStrictEqual([0, 3]);
    await gate.commits.push([toolDelta(1)]);
    expect(gate.asked.at(-1)?.held.seq).toBe(4);
  });
});

describe('the beat', () => {
  test('fragments gather until it comes, and join it once', async () => {
    const gate = new Gate(true);
    for (const text of ['a', 'b', 'c']) await gate.commits.push([delta(text)]);
    expect([gate.texts, gate.joins]).toStrictEqual([[], 1]);
    gate.beat();
    expect([gate.texts, gate.joins]).toStrictEqual([['abc'], 0]);
  });

  test('what gathers during a commit waits for the next beat after it', async () => {
    const gate = new Gate(true);
    await gate.commits.push([delta('a')]);
    gate.beat();
    await gate.commits.push([delta('b')]);
    expect(gate.joins).toBe(0);
    await gate.pass();
    expect([gate.texts, gate.joins]).toStrictEqual([['a'], 1]);
    await gate.commits.push([delta('c')]);
    gate.beat();
    expect(gate.texts).toStrictEqual(['a', 'bc']);
  });

  test('nobody joins it for nothing', async () => {
    const gate = new Gate(true);
    await gate.commits.push([]);
    await gate.commits.push([delta('a')]);
    gate.beat();
    await gate.pass();
    expect(gate.joins).toBe(0);
  });

  test.each<[string, (commits: Commits) => Promise<void>]>([
    ['an event that is no fragment', async (commits) => commits.push([structural])],
    ['whoever waits until all is stored', async (commits) => commits.settled()],
  ])('%s does not wait for it, and takes with it what does', async (_, act) => {
    const gate = new Gate(true);
    await gate.commits.push([delta('a')]);
    const acted = watch(act(gate.commits));
    expect(gate.asked).toHaveLength(1);
    await gate.pass();
    expect(acted.done).toBe(true);
    gate.beat();
    expect(gate.asked).toHaveLength(1);
  });

  test('a commit that is under way when it comes is followed by the next one', async () => {
    const gate = new Gate(true);
    await gate.commits.push([delta('a')]);
    const pushed = watch(gate.commits.push([structural]));
    await gate.commits.push([delta('b')]);
    gate.beat();
    expect(gate.texts).toStrictEqual(['a message.completed']);
    await gate.pass();
    await gate.pass();
    expect(gate.texts).toStrictEqual(['a message.completed', 'b']);
    expect(pushed.done).toBe(true);
  });
});

describe('anything else', () => {
  test('waits until it is stored, together with the fragments before it', async () => {
    const gate = new Gate();
    await gate.commits.push([delta('a')]);
    await gate.commits.push([delta('b')]);
    const pushed = watch(gate.commits.push([structural]));
    await gate.pass();
    expect(gate.texts).toStrictEqual(['a', 'b message.completed']);
    expect(pushed.done).toBe(false);
    await gate.pass();
    expect(pushed.done).toBe(true);
  });

  test('waits even when nothing is under way', async () => {
    const gate = new Gate();
    const pushed = watch(gate.commits.push([delta('a'), structural]));
    await settle();
    expect(pushed.done).toBe(false);
    await gate.pass();
    expect(pushed.done).toBe(true);
  });

  test('nothing at all is nothing to commit', async () => {
    const gate = new Gate();
    await gate.commits.push([]);
    await gate.commits.settled();
    expect(gate.asked).toStrictEqual([]);
    await gate.commits.push([delta('a')]);
    expect(gate.texts).toStrictEqual(['a']);
  });
});

describe('settled', () => {
  test('waits for what is under way and what has gathered behind it', async () => {
    const gate = new Gate();
    await gate.commits.push([delta('a')]);
    await gate.commits.push([delta('b')]);
    const settled = watch(gate.commits.settled());
    await gate.pass();
    expect(settled.done).toBe(false);
    await gate.pass();
    expect(settled.done).toBe(true);
  });

  test('is immediate when there is nothing', async () => {
    const gate = new Gate();
    await gate.commits.settled();
    expect(gate.asked).toStrictEqual([]);
  });
});

describe('a failure', () => {
  const refused = new Error('refused');

  test('is told at once, once, and to whoever pushes or waits next; nothing is committed any more', async () => {
    const gate = new Gate();
    await gate.commits.push([delta('a')]);
    await gate.commits.push([delta('b')]);
    expect(gate.failures).toStrictEqual([]);
    await gate.fail(refused);
    expect(gate.failures).toStrictEqual([refused]);
    await expect(gate.commits.push([delta('c')])).rejects.toBe(refused);
    await expect(gate.commits.push([structural])).rejects.toBe(refused);
    await expect(gate.commits.settled()).rejects.toBe(refused);
    expect(gate.failures).toStrictEqual([refused]);
    expect(gate.texts).toStrictEqual(['a']);
  });

  test('reaches a push that waits for its own events', async () => {
    const gate = new Gate();
    const pushed = watch(gate.commits.push([structural]));
    await gate.fail(refused);
    expect(pushed).toStrictEqual({ done: false, error: refused });
    expect(gate.failures).toStrictEqual([refused]);
  });
});

describe('back-pressure', () => {
  /** More than may gather. */
  const MANY = 300;

  test.each<[string, (index: number) => RunEvent]>([
    ['fragments of calls that do not melt', (index) => toolDelta(index % 2)],
    ['fragments of one text, though they melt into one', () => delta('.')],
  ])('makes the model wait while too many wait themselves: %s', async (_, fragment) => {
    const gate = new Gate();
    let pushes = 0;
    const writing = watch(
      (async () => {
        for (; pushes < MANY; pushes++) await gate.commits.push([fragment(pushes)]);
      })(),
    );
    await settle();
    expect(pushes).toBeGreaterThan(200);
    expect(pushes).toBeLessThan(MANY);
    expect(gate.asked).toHaveLength(1);
    // One commit takes the first fragment, the next all that have gathered; then there is room again.
    await gate.pass();
    expect(pushes).toBeLessThan(MANY);
    await gate.pass();
    expect(writing.done).toBe(true);
  });
});

describe('whatever is pushed, however slowly it is stored', () => {
  const event = fc.oneof(
    { weight: 3, arbitrary: fc.string({ minLength: 1, maxLength: 3 }).map(delta) },
    { weight: 2, arbitrary: fc.nat({ max: 1 }).map(toolDelta) },
    { weight: 1, arbitrary: fc.constant(structural) },
  );
  const batches = fc.array(
    fc.record({ batch: fc.array(event, { maxLength: 3 }), passes: fc.nat({ max: 2 }) }),
  );

  test('is stored completely and in order', async () => {
    await fc.assert(
      fc.asyncProperty(batches, async (list) => {
        const gate = new Gate();
        const pushed: Promise<void>[] = [];
        for (const { batch, passes } of list) {
          pushed.push(gate.commits.push(batch));
          for (let left = passes; left > 0 && !gate.open; left--) await gate.pass();
        }
        while (!gate.open) await gate.pass();
        await Promise.all(pushed);
        expect(merged(gate.asked.flatMap(({ events }) => events))).toStrictEqual(
          merged(list.flatMap(({ batch }) => batch)),
        );
      }),
      { numRuns: 50 },
    );
  });
});

function merged(events: readonly RunEvent[]): readonly RunEvent[] {
  const together: RunEvent[] = [];
  for (const event of events) pushMerged(together, event);
  return together;
}

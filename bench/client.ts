/**
 * The load, in a process of its own, so that it shares no event loop with what it measures. Does one task after another
 * for its parent, and answers each with what it saw.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, call, type Arm } from './ask.ts';

/** What the parent asks for. */
export type Task =
  /** One request of each arm in every round, beginning with another arm each time. */
  | {
      readonly type: 'rounds';
      readonly arms: readonly Arm[];
      readonly rounds: number;
      readonly warmUp: number;
    }
  /** So many streams at a time, each begun again when it ends, until the time is over. */
  | {
      readonly type: 'streams';
      readonly arm: Arm;
      readonly streams: number;
      readonly forMs: number;
      /** How long one answer takes; the first ones begin spread over this time. */
      readonly spreadMs: number;
    }
  /** Thread, message, run: so many flows at a time, polled or streamed. */
  | {
      readonly type: 'flows';
      readonly base: string;
      readonly assistant: string;
      readonly isPolled: boolean;
      readonly flows: number;
      readonly forMs: number;
    }
  /** Opens so many streams of a model that says nothing, and leaves them open. */
  | { readonly type: 'open'; readonly arm: Arm; readonly streams: number };

/** What a task has seen. Times in milliseconds. */
export interface Seen {
  /** First words by arm, in the order of the rounds; NaN for a request that failed. */
  readonly firstMs: Readonly<Record<string, readonly number[]>>;
  readonly gapsMs: readonly number[];
  readonly tokens: number;
  readonly wrong: number;
  readonly done: number;
  readonly failed: number;
  /** Why the first of those failed. */
  readonly why: string | null;
  readonly tookMs: number;
}

/** Idle streams are opened so many at a time. */
const OPEN_AT_ONCE = 50;
const OPEN_EVERY_MS = 60;
const POLL_EVERY_MS = 5;
/** After its answer the service ends the run: whoever was next would wait for that. */
const REST_MS = 15;

class Notes {
  readonly firstMs: Record<string, number[]> = {};
  readonly gapsMs: number[] = [];
  readonly #startMs = performance.now();
  tokens = 0;
  wrong = 0;
  done = 0;
  failed = 0;
  why: string | null = null;

  async ask(arm: Arm, keepGaps: boolean): Promise<void> {
    const firsts = (this.firstMs[arm.name] ??= []);
    try {
      const answer = await ask(arm, { keepGaps });
      firsts.push(answer.firstMs);
      this.gapsMs.push(...answer.gapsMs);
      this.tokens += answer.tokens;
      this.wrong += answer.wrong;
      this.done += 1;
    } catch (error) {
      firsts.push(Number.NaN);
      this.fail(error);
    }
  }

  fail(error: unknown): void {
    this.failed += 1;
    this.why ??= error instanceof Error ? error.message : String(error);
  }

  seen(): Seen {
    const { firstMs, gapsMs, tokens, wrong, done, failed, why } = this;
    return { firstMs, gapsMs, tokens, wrong, done, failed, why, tookMs: performance.now() - this.#startMs };
  }
}

async function run(task: Task): Promise<Seen> {
  switch (task.type) {
    case 'rounds':
      return await rounds(task);
    case 'streams':
      return await streams(task);
    case 'flows':
      return await flows(task);
    case 'open':
      return await open(task);
  }
}

async function rounds({ arms, rounds: count, warmUp }: Extract<Task, { type: 'rounds' }>): Promise<Seen> {
  const cold = new Notes();
  for (let round = 0; round < warmUp; round++) for (const arm of arms) await cold.ask(arm, false);
  const notes = new Notes();
  for (let round = 0; round < count; round++) {
    for (const arm of [...arms.slice(round % arms.length), ...arms.slice(0, round % arms.length)]) {
      await notes.ask(arm, false);
      await sleep(REST_MS);
    }
  }
  return notes.seen();
}

async function streams({
  arm,
  streams: count,
  forMs,
  spreadMs,
}: Extract<Task, { type: 'streams' }>): Promise<Seen> {
  const notes = new Notes();
  const endMs = performance.now() + forMs;
  const one = async (_: unknown, index: number): Promise<void> => {
    await sleep((index / count) * spreadMs);
    do await notes.ask(arm, true);
    while (performance.now() < endMs && notes.failed < count);
  };
  await Promise.all(Array.from({ length: count }, one));
  return notes.seen();
}

async function flows({
  base,
  assistant,
  isPolled,
  flows: count,
  forMs,
}: Extract<Task, { type: 'flows' }>): Promise<Seen> {
  const notes = new Notes();
  const endMs = performance.now() + forMs;
  const flow = async (): Promise<void> => {
    const thread = String((await call(base, '/threads', {}))['id']);
    await call(base, `/threads/${thread}/messages`, { role: 'user', content: 'hello' });
    const path = `/threads/${thread}/runs`;
    // The flows' model is paced-8-0.
    if (!isPolled) {
      const body = { assistant_id: assistant, stream: true };
      return await notes.ask({ name: 'flow', base, path, body, tokens: 8 }, false);
    }
    let run = await call(base, path, { assistant_id: assistant });
    while (run['status'] === 'queued' || run['status'] === 'in_progress') {
      await sleep(POLL_EVERY_MS);
      run = await call(base, `${path}/${String(run['id'])}`);
    }
    if (run['status'] !== 'completed') throw new Error(`a run ended as ${String(run['status'])}`);
    notes.done += 1;
  };
  const one = async (): Promise<void> => {
    while (performance.now() < endMs && notes.failed < count)
      await flow().catch((error: unknown) => notes.fail(error));
  };
  await Promise.all(Array.from({ length: count }, one));
  return notes.seen();
}

/** They end with this process. */
async function open({ arm, streams: count }: Extract<Task, { type: 'open' }>): Promise<Seen> {
  const notes = new Notes();
  for (let opened = 0; opened < count; opened++) {
    void ask(arm).catch((error: unknown) => notes.fail(error));
    if (opened % OPEN_AT_ONCE === OPEN_AT_ONCE - 1) await sleep(OPEN_EVERY_MS);
  }
  return notes.seen();
}

process.on('message', ({ task }: { readonly task: Task }) => {
  void run(task).then(
    (seen) => process.send?.({ seen }),
    (error: unknown) => process.send?.({ problem: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
process.send?.({ port: 0 });

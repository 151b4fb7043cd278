/**
 * commit.lua and fragments.lua against a model of them in a few lines of TypeScript: two writers who know nothing of each other start, write,
 * finish, cancel, give back and send again in random order, and the store and the model must agree after each move.
 */
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ending, release } from '../../src/runs/ending.ts';
import { isDelta, type RunEvent } from '../../src/runs/event.ts';
import {
  applyAll,
  isCancelling,
  isExecuting,
  isQueued,
  isTerminal,
  type RunState,
} from '../../src/runs/run.ts';
import type { RunRef } from '../../src/store/keys.ts';
import { readLog } from '../../src/store/log.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import { Refused, type StoredRun } from '../../src/store/runs.ts';
import { fold } from '../runs/histories.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  CANCELLING,
  COMPLETED,
  create,
  CREATED_AT,
  delta,
  must,
  OPEN_MESSAGE,
  openStore,
  overheard,
  refOf,
  send,
  sendAgain,
  STARTED,
  type Sent,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

/** What a writer last read of the model, or last wrote to it. */
interface View {
  readonly version: number;
  readonly seq: number;
}

/** What the two scripts are meant to do to one run. */
class Reference {
  version = 0;
  readonly log: RunEvent[] = [];
  /** The stored document: as of the last transition. */
  doc: RunState;
  /** From which versions a transition has led on. */
  readonly left: number[] = [];

  constructor(queued: StoredRun) {
    this.log.push({ type: 'run.queued', at: CREATED_AT, run: queued.state.run, origin: queued.state.origin });
    this.doc = queued.state;
  }

  get view(): View {
    return { version: this.version, seq: this.log.length };
  }

  /** The run with everything that was said. */
  get folded(): RunState {
    return fold(this.log);
  }

  /** @returns whether it was accepted. */
  commit(view: View, events: readonly RunEvent[]): boolean {
    if (view.version !== this.version || view.seq !== this.log.length) return false;
    this.log.push(...events);
    if (!events.every(isDelta)) this.advance(this.folded);
    return true;
  }

  /** A change decides on the document, whatever was said since; so its fold starts from there. */
  change(events: readonly RunEvent[]): void {
    this.log.push(...events);
    this.advance(applyAll(this.doc, events));
  }

  private advance(doc: RunState): void {
    this.left.push(this.version);
    this.version += 1;
    this.doc = doc;
  }
}

/** A worker, or somebody who takes itself for one. */
interface Writer {
  held: StoredRun | null;
  view: View;
  /** It made the version it holds: only then does it say fragments. */
  own: boolean;
  /** The last command it sent, whether it was accepted, and the version of the model it led to. */
  last: { readonly sent: Sent; readonly accepted: boolean; readonly version: number } | null;
}

/** What a writer may do, and how often: a run that is cancelled or finished early is a short game. */
const MOVES = [
  ['look', 4],
  ['act', 12],
  ['finish', 1],
  ['give back', 1],
  ['cancel', 1],
  ['close', 1],
  ['resend', 5],
] as const;
interface Move {
  readonly who: 0 | 1;
  readonly what: (typeof MOVES)[number][0];
}

/** One run in the store, its model, and the writers. */
class Game {
  readonly store: Store;
  readonly ref: RunRef;
  readonly model: Reference;
  readonly writers: readonly [Writer, Writer];
  /** Where store and model differ. */
  readonly complaints: { what: string; actual: unknown; expected: unknown }[] = [];
  /** How often each thing was compared. */
  private readonly checked: Record<string, number>;
  private readonly sent: Sent[];

  constructor(store: Store, queued: StoredRun, sent: Sent[], checked: Record<string, number>) {
    this.store = store;
    this.sent = sent;
    this.checked = checked;
    this.ref = queued.ref;
    this.model = new Reference(queued);
    const writer = (): Writer => ({ held: queued, view: this.model.view, own: false, last: null });
    this.writers = [writer(), writer()];
  }

  async play({ who, what }: Move): Promise<void> {
    const writer = this.writers[who];
    const { runs } = this.store;
    const state = writer.held?.state;
    switch (what) {
      case 'look':
        writer.held = must(await runs.get(this.ref)).stored;
        writer.view = this.model.view;
        writer.own = false;
        break;
      case 'act':
        if (!state) break;
        if (isQueued(state.run)) await this.commit(writer, [STARTED]);
        else if (isExecuting(state.run) && state.step === null) await this.commit(writer, OPEN_MESSAGE);
        else if (writer.own && state.message !== null)
          await this.commit(writer, [delta(`${who}`), delta('.')]);
        break;
      case 'finish':
        if (state?.message) await this.commit(writer, COMPLETED);
        break;
      case 'give back':
        if (isExecuting(this.model.doc.run)) {
          await runs.giveBack(this.ref, 'lost');
          this.model.commit(this.model.view, release(this.model.folded, 'lost', CREATED_AT));
        }
        break;
      case 'cancel':
        if (!isTerminal(this.model.doc.run) && !isCancelling(this.model.doc.run)) {
          await runs.change(this.ref, () => [CANCELLING]);
          this.model.change([CANCELLING]);
        }
        break;
      case 'close':
        if (isCancelling(this.model.doc.run)) {
          await runs.close(this.ref, { type: 'cancelled' });
          this.model.commit(this.model.view, ending(this.model.folded, { type: 'cancelled' }, CREATED_AT));
        }
        break;
      case 'resend':
        await this.resend(writer);
        break;
    }
  }

  private async commit(writer: Writer, events: readonly RunEvent[]): Promise<void> {
    const accepted = this.model.commit(writer.view, events);
    this.sent.length = 0;
    try {
      writer.held = await this.store.runs.commit(must(writer.held), events);
      this.check('accepted', true, accepted);
      writer.own = true;
      writer.view = this.model.view;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.check('refused', false, accepted);
    }
    writer.last = { sent: must(this.sent[0]), accepted, version: this.model.version };
  }

  /** A command that comes again is acknowledged while what it wrote is the latest, refused otherwise, and never done. */
  private async resend({ last }: Writer): Promise<void> {
    if (last === null) return;
    const answer = await sendAgain(this.store.redis, last.sent);
    if (last.accepted && last.version === this.model.version) {
      this.check('acknowledged again', answer, this.model.log.length);
    } else this.check('refused again', answer, 0);
  }

  /** The store is as the model says. */
  async agree(): Promise<void> {
    const { stored } = must(await this.store.runs.get(this.ref));
    this.check('seq', stored.seq, this.model.log.length);
    this.check('document', stored.state, this.model.doc);
  }

  /** What holds at the end of any game. */
  async finish(): Promise<void> {
    const { log, left, folded } = this.model;
    const entries = await readLog(this.store.redis, this.store.keys, this.ref, 1);
    this.check(
      'log',
      entries,
      log.map((event, index) => ({ seq: index + 1, event })),
    );
    this.check('transitions from one version', new Set(left).size, left.length);
    this.check('replay', must(await this.store.runs.replay(this.ref)).state, folded);
    // Folding the log gives the document, up to the fragments that were said since the last transition. A cancel is made
    // by somebody who has not heard the fragments before it, either; whoever closes the run replays them.
    const { stored } = must(await this.store.runs.get(this.ref));
    if (isCancelling(stored.state.run)) return;
    const since = log.slice(log.findLastIndex((event) => !isDelta(event)) + 1);
    this.check('document and fragments', applyAll(stored.state, since), folded);
  }

  private check(what: string, actual: unknown, expected: unknown): void {
    this.checked[what] = (this.checked[what] ?? 0) + 1;
    if (!isDeepStrictEqual(actual, expected)) this.complaints.push({ what, actual, expected });
  }
}

describe('two writers of one run', () => {
  const what = fc.oneof(...MOVES.map(([move, weight]) => ({ weight, arbitrary: fc.constant(move) })));
  const moves = fc.array(fc.record({ who: fc.constantFrom(0 as const, 1 as const), what }), {
    minLength: 10,
    maxLength: 40,
    size: 'max',
  });

  test('are told apart exactly as the model tells them apart', async () => {
    const all: Sent[] = [];
    const store = await openStore(server.url, (redis: ScriptedRedis) =>
      overheard(redis, async (sent) => {
        all.push(sent);
        return send(redis, sent);
      }),
    );
    const checked: Record<string, number> = {};
    let games = 0;
    await fc.assert(
      fc.asyncProperty(moves, async (list) => {
        games += 1;
        const ref = refOf('run_1', { project: 'p', threadId: `thread_${games}` });
        const game = new Game(store, await create(store, ref), all, checked);
        for (const move of list) {
          await game.play(move);
          await game.agree();
        }
        await game.finish();
        expect(game.complaints).toStrictEqual([]);
      }),
      { numRuns: 100 },
    );
    // The games were worth playing: commands were accepted, refused and sent again, in good numbers.
    for (const kind of ['accepted', 'refused', 'acknowledged again', 'refused again']) {
      expect(checked[kind], kind).toBeGreaterThan(20);
    }
  });
});

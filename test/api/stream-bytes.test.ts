/** The bytes of streams, over random runs: exact JSON, the same however the log is cut into batches, and nothing lost. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { agentFrames } from '../../src/api/agents/frames.ts';
import { assistantsStream, watchStream } from '../../src/api/assistants/frames.ts';
import { chatFrames, type ChatReply } from '../../src/api/chat/frames.ts';
import type { LoggedEvent } from '../../src/store/follow.ts';
import type { Passing } from '../../src/store/passing.ts';
import { isAudible, TurnReader, type TurnEvent } from '../../src/turns/turn-events.ts';
import { histories, type History } from '../runs/histories.ts';

/** Everything that JSON has to escape, in the parts of a frame that stay the same. */
const ODD = '"\\\n\u2028\ud800';
const REPLIES: readonly ChatReply[] = [true, false].flatMap((shows) => [
  {
    id: `chatcmpl-${ODD}`,
    created: 1,
    model: ODD,
    includeUsage: shows,
    callsFunctions: !shows,
    apology: null,
    showsAsides: shows,
    hidesErrors: false,
  },
  {
    id: 'chatcmpl-1',
    created: 1,
    model: 'm',
    includeUsage: shows,
    apology: '抱歉。',
    showsAsides: false,
    hidesErrors: shows,
  },
]);
const IDS = { request_id: 'req_1', agent_id: ODD, user_id: 'u', conversation_id: 'c' };

type Batches = readonly (readonly LoggedEvent[])[];

/** A source of these batches, which passes those that are nothing but fragments if it is asked to. */
function of<T>(batches: readonly (readonly T[])[], typeOf: (event: T) => string): Passing<readonly T[]> {
  let take: ((batch: readonly T[]) => void) | null = null;
  async function* source(): AsyncGenerator<readonly T[], void> {
    for (const batch of batches) {
      if (take !== null && batch.every((event) => FRAGMENTS.has(typeOf(event)))) take(batch);
      else yield batch;
    }
  }
  return Object.assign(source(), {
    pass: (given: typeof take): void => {
      take = given;
    },
  });
}

const FRAGMENTS: ReadonlySet<string> = new Set(['message.delta', 'thought.delta', 'text', 'thought']);

/** The whole text of a stream. @param isPassed whether it may come without a wait */
async function textOf(stream: Passing<string>, isPassed: boolean): Promise<string> {
  let text = '';
  if (isPassed) stream.pass?.((passed) => (text += passed));
  for await (const told of stream) text += told;
  return text;
}

/** What a turn hears of these batches, batch by batch. */
function heard(batches: Batches): readonly (readonly TurnEvent[])[] {
  const reader = new TurnReader(0);
  return batches.flatMap((batch) => {
    const told = reader.isOver ? [] : reader.read(batch);
    return told.length === 0 ? [] : [told];
  });
}

/** The streams of all protocols for one log. */
async function streamsOf(batches: Batches, isPassed = false): Promise<readonly string[]> {
  const told = heard(batches);
  const audible = told.map((batch) => batch.filter(isAudible));
  const options = { after: 0, thread: null, labels: async () => null, message: async () => null };
  const [queued] = batches.flat();
  if (queued?.event.type !== 'run.queued') throw new Error('this is no log');
  const { run } = queued.event;
  const streams = [
    assistantsStream(of(batches, typeOfEntry), options),
    ...[false, true].map((withThoughts) =>
      watchStream(of(batches, typeOfEntry), { ...options, run, withThoughts }),
    ),
    agentFrames(of(told, typeOfEvent), IDS, ODD),
    ...REPLIES.map((reply) => chatFrames(of(audible, typeOfEvent), reply)),
  ];
  return Promise.all(streams.map(async (stream) => textOf(stream, isPassed)));
}

const typeOfEntry = ({ event }: LoggedEvent): string => event.type;
const typeOfEvent = ({ type }: TurnEvent): string => type;

const logOf = ({ events }: History): readonly LoggedEvent[] =>
  events.map((event, index) => ({ seq: index + 1, event }));

/** Words that are taken back in the same batch are not told at all: such logs may differ. */
const takesBack = ({ events }: History): boolean =>
  events.some(({ type }) => type === 'run.released' || type === 'step.dropped' || type === 'thought.dropped');

test('every frame is the exact JSON of its object', async () => {
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      for (const stream of await streamsOf([logOf(history)])) {
        expect(stream).toMatch(/^(?:(?:id: \d+\n)?(?:event: [a-z_.]+\n)?data: [^\n]+\n\n)*$/);
        const data = [...stream.matchAll(/^data: (\{[^\n]+)$/gm)].map(([, text = '']) => text);
        expect(data.map((text) => JSON.stringify(JSON.parse(text)))).toStrictEqual(data);
      }
    }),
    { numRuns: 30 },
  );
});

test('a log has the same bytes however it comes, in one batch or event by event', async () => {
  await fc.assert(
    fc.asyncProperty(histories, fc.array(fc.nat({ max: 9 })), async (history, sizes) => {
      fc.pre(!takesBack(history));
      const log = logOf(history);
      let at = 0;
      const cut = sizes.map((size) => log.slice(at, (at += size)));
      const whole = await streamsOf([log]);
      expect(await streamsOf(log.map((entry) => [entry]))).toStrictEqual(whole);
      expect(await streamsOf([...cut, log.slice(at)])).toStrictEqual(whole);
    }),
    { numRuns: 30 },
  );
});

test('a log has the same bytes when its fragments are passed without a wait', async () => {
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      const batches = logOf(history).map((entry) => [entry]);
      expect(await streamsOf(batches, true)).toStrictEqual(await streamsOf(batches));
    }),
    { numRuns: 30 },
  );
});

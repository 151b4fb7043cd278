/** The Assistants frames of a message: when its deltas carry annotations, and what is stored of them. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { assistantsStream } from '../../src/api/assistants/frames.ts';
import type { RunEvent } from '../../src/runs/event.ts';
import type { LoggedEvent } from '../../src/store/follow.ts';
import { cited, eventsFor, usage } from '../runs/histories.ts';

const at = 1_001;
const { 'run.queued': queued, 'run.started': started } = eventsFor(null);
const talk = (...said: readonly RunEvent[]): readonly RunEvent[] => [
  queued,
  started,
  { type: 'step.created', at, step_id: 'step_1', message_id: 'msg_1' },
  { type: 'message.created', at, message_id: 'msg_1' },
  ...said,
  { type: 'message.completed', at },
  { type: 'step.completed', at, usage: usage(1), outputs: null },
  { type: 'run.completed', at },
];

/** The data of the frames of that name. */
async function dataOf(name: string, events: readonly RunEvent[]): Promise<readonly unknown[]> {
  const log = async function* (): AsyncGenerator<readonly LoggedEvent[], void> {
    yield events.map((event, index) => ({ seq: index + 1, event }));
  };
  const options = { after: 0, thread: null, labels: async () => null, message: async () => null };
  const text = (await Array.fromAsync(assistantsStream(log(), options))).join('');
  const frames = [...text.matchAll(/^event: (.+)\ndata: (.+)$/gm)];
  return frames.flatMap(([, event, data = '']) => (event === name ? [JSON.parse(data) as unknown] : []));
}

const words = (text: string): RunEvent => ({ type: 'message.delta', text });
const marked = (text: string, ...files: readonly string[]): RunEvent => ({
  type: 'message.delta',
  text,
  annotations: files.map((file) => cited(file)),
});
const deltaSchema = z.object({ delta: z.object({ content: z.tuple([z.object({ text: z.unknown() })]) }) });
const textIn = async (...said: readonly RunEvent[]): Promise<readonly unknown[]> =>
  (await dataOf('thread.message.delta', talk(...said))).map(
    (data) => deltaSchema.parse(data).delta.content[0].text,
  );

/** Shows A-DELTA-02. */
test('the first delta has annotations, if only none; later ones have them when there are any', async () => {
  expect(await textIn(words('a'), words('b'))).toEqual([{ value: 'a', annotations: [] }, { value: 'b' }]);
});

/** Shows A-DELTA-11. */
test('annotations are counted through the message', async () => {
  expect(await textIn(marked('a', 'x'), words('b'), marked('c', 'y', 'z'))).toEqual([
    { value: 'a', annotations: [{ index: 0, ...cited('x') }] },
    { value: 'b' },
    {
      value: 'c',
      annotations: [
        { index: 1, ...cited('y') },
        { index: 2, ...cited('z') },
      ],
    },
  ]);
});

test('the message has them all, without their places', async () => {
  const events = talk(marked('a', 'x'), words('b'), marked('c', 'y'));
  expect(await dataOf('thread.message.completed', events)).toMatchObject([
    { content: [{ type: 'text', text: { value: 'abc', annotations: [cited('x'), cited('y')] } }] },
  ]);
});

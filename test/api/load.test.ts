/** Many runs at once over several workers, one of which is stopped in the middle: nothing is lost, and nothing done twice. */
import OpenAI from 'openai';
import { beforeAll, expect, test } from 'vitest';
import { says } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

const RUNS = 300;
const AT_ONCE = 50;
/** The worker is stopped when this many runs have been asked of the model. */
const STOP_AFTER = 100;

beforeAll(async () => {
  upstream.reply(({ text }) => [{ type: 'delay', delayMs: 20 }, ...says('Answer to ', text)]);
});

const { upstream, service } = withService(() => ({ workers: 3, env: { POLL_AFTER_MS: '50' } }));

test(`${RUNS} runs complete, each model turn asked once, while one of three workers is stopped`, async () => {
  const openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any', maxRetries: 0 });
  const { threads } = openai.beta;
  const { id: assistantId } = await openai.beta.assistants.create({ model: 'gpt-4o' });

  const answers = new Map<string, string>();
  const play = async (marker: string): Promise<void> => {
    const run = await threads.createAndRunPoll({
      assistant_id: assistantId,
      thread: { messages: [{ role: 'user', content: marker }] },
    });
    expect(run).toMatchObject({ status: 'completed', last_error: null });
    const { data } = await threads.messages.list(run.thread_id, { limit: 1 });
    const [part] = data[0]?.content ?? [];
    answers.set(marker, part?.type === 'text' ? part.text.value : '');
    // The thread is free again as soon as its run is seen to be over.
    await threads.messages.create(run.thread_id, { role: 'user', content: 'thank you' });
  };

  const markers = Array.from({ length: RUNS }, (_, n) => `question ${n}`);
  const stopped = upstream
    .asked(() => upstream.requests.length >= STOP_AFTER)
    .then(() => service.killWorker(1, 'SIGTERM'));
  await Promise.all([stopped, eachAtOnce(markers, AT_ONCE, play)]);

  expect(answers).toEqual(new Map(markers.map((marker) => [marker, `Answer to ${marker}`])));
  expect(upstream.requests.map(({ text }) => text).toSorted()).toEqual(markers.toSorted());
});

/** Plays every item, `atOnce` at a time. */
async function eachAtOnce<Item>(
  items: readonly Item[],
  atOnce: number,
  play: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const player = async (): Promise<void> => {
    for (const item of queue) await play(item);
  };
  await Promise.all(Array.from({ length: atOnce }, player));
}

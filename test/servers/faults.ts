/** Checks of what happens when a run is given up, when the server is killed, and when it says nothing for long. */
import { setTimeout as delay } from 'node:timers/promises';
import { expectEnded, type Run, type Scene } from './scene.ts';

const LONG_TOKENS = 600;
const LONG = { max_completion_tokens: LONG_TOKENS, temperature: 1 } as const;
const STORY = 'Tell me a very long story about a fox, a river and a hundred geese. Do not end it.';
/** From the cancel to the server's rest. Some servers look for a client that hung up once a second or so. */
const REST_S = 20;
/** Includes a run that goes on when the server is back. */
const END_S = 120;
const BUSY_S = 60;
/** How often the model is asked for something long. */
const TRIES = 3;
const DELTAS = 3;
const OPEN = ['queued', 'in_progress', 'cancelling'];

/** A run that has begun to speak, and the promise that its stream ends. */
async function speaking(scene: Scene): Promise<{ run: Run; over: Promise<unknown> }> {
  const assistant_id = await scene.assistant();
  const stream = scene.runs.stream(await scene.thread(['user', STORY]), { assistant_id, ...LONG });
  let deltas = 0;
  const created: Run[] = [];
  const spoke = Promise.withResolvers<void>();
  stream.on('event', ({ event, data }) => {
    if (event === 'thread.run.created') created.push(data);
    if (event === 'thread.message.delta' && (deltas += 1) === DELTAS) spoke.resolve();
  });
  // Broken streams are what is checked here: the run's own status tells how it ended.
  const over = stream.done().catch(() => {});
  await Promise.race([spoke.promise, over]);
  const [run] = created;
  if (run === undefined) throw new Error('the stream began without its run');
  if (deltas < DELTAS) {
    const { status, last_error } = await reread(scene, run);
    throw new Error(`it ended after ${deltas} deltas: ${last_error?.message ?? status}`);
  }
  return { run, over };
}

const reread = (scene: Scene, { id, thread_id }: Run): Promise<Run> => scene.runs.retrieve(id, { thread_id });

async function ended(scene: Scene, run: Run, seconds = END_S): Promise<Run> {
  let latest = run;
  await scene.until('the run ends', seconds, async () => {
    latest = await reread(scene, run);
    return !OPEN.includes(latest.status);
  });
  return latest;
}

/** As {@link speaking}, with a server that works on it: a small model may be done before anybody has looked. */
async function working(scene: Scene): Promise<Awaited<ReturnType<typeof speaking>>> {
  for (let tries = 1; ; tries += 1) {
    const found = await speaking(scene);
    try {
      await scene.until('the server works', BUSY_S / TRIES, scene.running.isBusy);
      return found;
    } catch (error) {
      await found.over;
      if (tries === TRIES) throw error;
    }
  }
}

/** Both ways to give up: cancelling a run, and hanging up on a chat. */
export async function cancel(scene: Scene): Promise<string> {
  const { isBusy } = scene.running;
  const { run, over } = await working(scene);
  const { status } = await scene.runs.cancel(run.id, { thread_id: run.thread_id });
  const last = await ended(scene, run);
  if (last.status !== 'cancelled') throw new Error(`the run is ${last.status} after the cancel (${status})`);
  await over;
  await scene.until('the server rests after a cancel', REST_S, async () => !(await isBusy()));

  const hangUp = new AbortController();
  const messages = [{ role: 'user', content: STORY }];
  const signal = AbortSignal.any([hangUp.signal, scene.signal]);
  const response = await scene.chat({ messages, stream: true, max_tokens: LONG_TOKENS }, { signal });
  await response.body?.getReader().read();
  await scene.until('the server works', BUSY_S, isBusy);
  hangUp.abort();
  await scene.until('the server rests after a client hung up', REST_S, async () => !(await isBusy()));
  return '';
}

/** It may go on or fail, but it must end, with words, and the thread must take the next run. */
export async function killedWhileSpeaking(scene: Scene): Promise<string> {
  const { front } = scene.running;
  const { run, over } = await speaking(scene);
  await front.kill();
  try {
    return await afterKill(scene, run);
  } finally {
    await over;
  }
}

export async function killedBeforeTheFirstWord(scene: Scene): Promise<string> {
  const { front } = scene.running;
  const assistant_id = await scene.assistant();
  front.freeze();
  const run = await scene.runs.create(await scene.thread(['user', STORY]), {
    assistant_id,
    max_completion_tokens: 12,
  });
  await scene.until(
    'the run begins',
    BUSY_S,
    async () => (await reread(scene, run)).status === 'in_progress',
  );
  // Long enough for the request to have reached the frozen server.
  await delay(1_000);
  await front.kill();
  return afterKill(scene, run);
}

async function afterKill(scene: Scene, run: Run): Promise<string> {
  await scene.running.front.restart();
  const last = await ended(scene, run);
  const words = last.last_error?.message ?? '';
  if (last.status === 'failed' && words === '') throw new Error('the run failed without a reason');
  if (last.status !== 'failed') expectEnded(last);
  await scene.client.beta.threads.messages.create(run.thread_id, { role: 'user', content: 'Say hello.' });
  await scene.answers(run.thread_id).catch((error: unknown) => {
    throw new Error(`the next run of the thread: ${error instanceof Error ? error.message : String(error)}`);
  });
  return last.status === 'failed' ? `the run fails: ${words}` : `the run is answered all the same`;
}

/** A server that is asked and says nothing for long, as one that loads a model or thinks about a long prompt. */
export async function silence(scene: Scene): Promise<string> {
  const { behind } = scene.running;
  behind.freeze();
  try {
    const assistant_id = await scene.assistant();
    const run = await scene.runs.create(await scene.thread(['user', 'Say hello.']), {
      assistant_id,
      max_completion_tokens: 12,
    });
    await delay(scene.silentS * 1_000, undefined, { signal: scene.signal });
    behind.proceed();
    const last = await ended(scene, run);
    expectEnded(last);
    if ((await scene.textOf(last)).trim() === '') throw new Error('the answer has no word');
    return `${scene.silentS} s`;
  } finally {
    behind.proceed();
  }
}

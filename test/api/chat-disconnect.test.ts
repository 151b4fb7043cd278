/**
 * A caller that hangs up, at every moment of an answer: the model's server is hung up on at once, no run goes on, no thread
 * stays locked. Unless the caller has said that it should.
 */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerOf, asking, hear, post, textOf } from '../support/chat.ts';
import { calls, finish, gate, text, type Script } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

let openai: OpenAI;
/** Between our hanging up and the upstream's connection closing, one for each test of it. */
const tookMs: number[] = [];

const { upstream, service } = withService({ env: { UPSTREAM_RETRIES: '0' } });

beforeAll(async () => {
  openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any', maxRetries: 0 });
});

afterAll(async () => {
  process.stdout.write(`hang-ups reached the upstream after ${tookMs.join(', ')} ms\n`);
});

const chat = (body: unknown, signal?: AbortSignal): Promise<Response> =>
  post(`${service.baseUrl}/chat/completions`, body, signal && { signal });

/** Plays `script` for what the user says; everything else is answered at once. */
function play(said: string, script: (outputs: number) => Script): void {
  upstream.reply(({ text: asked, outputs }) => (asked === said ? script(outputs.length) : undefined));
}

/** Every run that was ever queued has ended or waits for its caller; resolves when that is so. */
async function nothingGoesOn(): Promise<void> {
  const queued = service.logs.filter((line) => line['event'] === 'run.queued').map((line) => line['run_id']);
  const ends = /^run\.(completed|cancelled|failed|incomplete|expired|blocked)$/;
  for (const id of queued)
    await service.waitForLog((line) => line['run_id'] === id && ends.test(String(line['event'])));
}

/** The thread takes another turn. */
async function isFree(thread_id: string): Promise<void> {
  const metadata = { multitask: 'reject' };
  await expect(textOf(await chat(asking('still there?', { thread_id, metadata })))).resolves.toBe(
    'You said: still there?',
  );
}

/** To be called before hanging up: afterwards nobody would be there to catch. */
async function expectAbort(response: Promise<unknown>): Promise<void> {
  await expect(response).rejects.toThrow('aborted');
}

/** Hangs up on `response` and waits until the upstream has noticed; by whom its connection was closed. */
async function hangUp(
  controller: AbortController,
  said: string,
  response: Promise<unknown>,
): Promise<string> {
  const broken = expectAbort(response);
  const request = upstream.requests.findLast(({ text: asked }) => asked === said);
  if (request === undefined) throw new Error(`nobody asked for ${said}`);
  const atMs = Date.now();
  controller.abort();
  const closed = await request.closed;
  tookMs.push(closed.atMs - atMs);
  await broken;
  return closed.by;
}

describe.each([true, false])('a caller hangs up (stream: %s)', (stream) => {
  test.each([{}, { thread_id: `left ${stream}` }])('before the first word, of %j', async (thread) => {
    const said = `silence ${JSON.stringify(thread)} ${stream}`;
    const door = gate();
    play(said, () => [door, text('too late'), finish('stop')]);
    const controller = new AbortController();
    const response = chat(asking(said, { stream, ...thread }), controller.signal);
    await door.reached;
    expect(await hangUp(controller, said, response)).toBe('client');
    await nothingGoesOn();
    if (thread.thread_id !== undefined) await isFree(thread.thread_id);
  });

  test.each([{}, { thread_id: `half ${stream}` }])('in the middle of the answer, of %j', async (thread) => {
    const said = `story ${JSON.stringify(thread)} ${stream}`;
    const door = gate();
    play(said, () => [text('Once upon'), door, text(' a time'), finish('stop')]);
    const controller = new AbortController();
    const heard = Promise.withResolvers<void>();
    const response = chat(asking(said, { stream, ...thread }), controller.signal).then(async (answer) =>
      stream ? hear(answer, () => heard.resolve()) : answerOf(answer),
    );
    await (stream ? heard.promise : door.reached);
    expect(await hangUp(controller, said, response)).toBe('client');
    await nothingGoesOn();
    if (thread.thread_id !== undefined) await isFree(thread.thread_id);
  });

  test('behind a pass of the server’s own tools', async () => {
    const said = `time ${stream}`;
    const tools = [{ type: 'function' as const, function: { name: 'clock' } }];
    const { id: model } = await openai.beta.assistants.create({ model: 'any-model', tools });
    const door = gate();
    play(said, (outputs) => (outputs === 0 ? calls([{ name: 'clock', arguments: {} }]) : [door]));
    const controller = new AbortController();
    const thread_id = `tools ${stream}`;
    const response = chat(asking(said, { stream, model, thread_id }), controller.signal);
    await door.reached;
    expect(await hangUp(controller, said, response)).toBe('client');
    await nothingGoesOn();
    await isFree(thread_id);
  });

  test('while another turn is waited for, which goes on', async () => {
    const said = `first ${stream}`;
    const thread_id = `waiting ${stream}`;
    const door = gate();
    play(said, () => [text('Half'), door, text(' and half'), finish('stop')]);
    const first = chat(asking(said, { thread_id }));
    await door.reached;
    const controller = new AbortController();
    const metadata = { multitask: 'enqueue' };
    const second = chat(asking('second', { thread_id, stream, metadata }), controller.signal);
    const broken = expectAbort(second);
    controller.abort();
    await broken;
    door.open();
    await expect(textOf(await first)).resolves.toBe('Half and half');
    await nothingGoesOn();
    await isFree(thread_id);
  });

  test('but wanted the run to go on', async () => {
    const said = `go on ${stream}`;
    const thread_id = `continues ${stream}`;
    const door = gate();
    play(said, () => [text('Half'), door, text(' and half'), finish('stop')]);
    const controller = new AbortController();
    const metadata = { on_disconnect: 'continue' };
    const body = asking(said, { thread_id, stream, metadata });
    const response = chat(body, controller.signal).then((answer) => answer.text());
    await door.reached;
    const broken = expectAbort(response);
    controller.abort();
    await broken;
    // Whoever asks the same again hears how it goes on.
    const again = await chat({ ...body, stream: true });
    await expect(hear(again, () => door.open())).resolves.toMatchObject({ text: 'Half and half' });
    const asked = upstream.requests.filter(({ text: words }) => words === said);
    expect(asked).toHaveLength(1);
  });
});

test('callers that hang up at any moment leave nothing behind', async () => {
  const words = Array.from({ length: 40 }, (_, index) => text(`word ${index} `));
  upstream.reply(({ text: said }) =>
    said.startsWith('any moment') ? [...words, finish('stop')] : undefined,
  );
  const moments = Array.from({ length: 60 }, (_, index) => index);
  await Promise.all(
    moments.map(async (moment) => {
      const controller = new AbortController();
      const body = asking(`any moment ${moment}`, { thread_id: `moment ${moment % 20}`, stream: true });
      const read = async (): Promise<void> => {
        const reader = (await chat(body, controller.signal)).body?.getReader();
        // Later callers hang up later: before the headers, after the first packet, after the second …
        for (let packets = 0; packets < moment % 4; packets += 1) await reader?.read();
        controller.abort();
      };
      if (moment % 4 === 0) queueMicrotask(() => controller.abort());
      await read().catch((error: unknown) => {
        if (!controller.signal.aborted) throw error;
      });
    }),
  );
  await nothingGoesOn();
  for (let thread = 0; thread < 20; thread += 1) {
    const body = asking('still there?', {
      thread_id: `moment ${thread}`,
      metadata: { multitask: 'enqueue' },
    });
    await expect(textOf(await chat(body))).resolves.toBe('You said: still there?');
  }
  await nothingGoesOn();
});

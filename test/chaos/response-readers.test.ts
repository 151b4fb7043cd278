/**
 * The API process and the worker process of a background response are killed in the middle of it. Its client goes on reading at
 * another API process, and afterwards everybody reads the same.
 */
import OpenAI from 'openai';
import { expect, test } from 'vitest';
import { finish, gate, text } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';
import { Deployment } from './deployment.ts';
import { problemsOfResponse } from './response-order.ts';
import { endsStream, type ResponseEvent } from './responses.ts';

const READERS = 200;
/** The shortest that a busy worker meets: after that, a lost one is missed. */
const LOCK_MS = '3000';

test(`a response outlives its processes, and ${READERS} readers then read what its client did`, async () => {
  const env = { LOCK_MS, UPSTREAM_IDLE_MS: '120000' };
  const deployment = await Deployment.start({ apis: 2, workers: 1, persistence: 'everysec', env });
  try {
    const { service, upstream } = deployment;
    const [dying = '', other = ''] = service.origins;
    const door = gate();
    upstream.reply(() =>
      upstream.requests.length === 1
        ? [text('Once '), text('upon '), { type: 'stall' }]
        : [text('Once '), text('again '), door, text('and '), text('whole.'), finish('stop')],
    );
    const [dies, lives] = [dying, other].map(
      (origin) => new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'none', maxRetries: 0 }),
    );
    if (dies === undefined || lives === undefined) throw new Error('there are two');

    const events: ResponseEvent[] = [];
    const { id } = await dies.responses.create({ model: 'm', input: 'a story', background: true });
    const first = await dies.responses.retrieve(id, { stream: true });
    await expect(
      readOn(first, events, async (event) => {
        if (!isDelta(event, 'upon ')) return false;
        await Promise.all([service.killApi(dying), service.killWorker(0)]);
        return false;
      }),
    ).rejects.toThrow('terminated');

    const starting_after = events.at(-1)?.sequence_number ?? -1;
    const second = await lives.responses.retrieve(id, { stream: true, starting_after });
    await Promise.all([service.startApi(new URL(dying).port), service.startWorker()]);
    let late: AsyncIterable<ResponseEvent> | undefined;
    await readOn(second, events, async (event) => {
      if (isDelta(event, 'again ')) {
        // Somebody who has heard nothing reads at the process that has come back, while the answer is still being said.
        late = await dies.responses.retrieve(id, { stream: true });
        door.open();
      }
      return endsStream(event);
    });
    expect(problemsOfResponse(events)).toEqual([]);
    expect(events.at(-1)).toMatchObject({ type: 'response.completed', response: { status: 'completed' } });
    expect(
      events.filter((event) => event.type === 'response.output_text.delta').map(({ delta }) => delta),
    ).toEqual(['Once ', 'upon ', 'Once ', 'again ', 'and ', 'whole.']);
    const heardLate: ResponseEvent[] = [];
    await readOn(late ?? [], heardLate, endsStream);
    expect(heardLate).toEqual(events);
    expect(await lives.responses.retrieve(id)).toMatchObject({ output_text: 'Once again and whole.' });

    const wires = [dying, other].map((origin) => new Wire(`${origin}/v1`));
    const readings = await Promise.all(
      Array.from({ length: READERS }, async (_, reader) =>
        wires[reader % wires.length]?.ask('GET', `/responses/${id}?stream=true`),
      ),
    );
    const texts = new Set(readings.map((reading) => reading?.text.replaceAll(': ping\n', '')));
    expect(texts.size).toBe(1);
    const [whole = ''] = texts;
    const told = whole.split('\n\n').flatMap((frame) => /^data: (\{.*)$/m.exec(frame)?.[1] ?? []);
    expect(told.map((data): unknown => JSON.parse(data))).toEqual(events);
  } finally {
    await deployment.stop();
  }
});

const isDelta = (event: ResponseEvent, delta: string): boolean =>
  event.type === 'response.output_text.delta' && event.delta === delta;

/** Adds what a stream says to `events`, until `isEnough` of it was heard. */
async function readOn(
  stream: Iterable<ResponseEvent> | AsyncIterable<ResponseEvent>,
  events: ResponseEvent[],
  isEnough: (event: ResponseEvent) => boolean | Promise<boolean>,
): Promise<void> {
  for await (const event of stream) {
    events.push(event);
    if (await isEnough(event)) return;
  }
}

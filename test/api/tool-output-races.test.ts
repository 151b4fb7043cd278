/** Tool outputs that are submitted twice at the same moment, at two API processes: what is told to whom. */
import { beforeAll, expect, test } from 'vitest';
import { calls, says } from '../support/upstream.ts';
import { outputsOf, Wire, type Reply, type WireRun } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const RACES = 80;
const AT_ONCE = 10;

let wires: readonly Wire[] = [];
let assistant_id = '';

const { upstream, service } = withService({ apis: 2 });

beforeAll(async () => {
  wires = service.origins.map((origin) => new Wire(`${origin}/v1`));
  const tools = [{ type: 'function', function: { name: 'weather' } }];
  assistant_id = (await wires[0]?.ok('POST', '/assistants', { model: 'm', tools }))?.id ?? '';
  upstream.reply(({ outputs }) => {
    return outputs.length === 0 ? calls([{ name: 'weather', arguments: {} }]) : says(outputs.join());
  });
});

async function submit(wire: Wire | undefined, run: WireRun, output: string): Promise<Reply> {
  if (wire === undefined) throw new Error('there is no second API');
  const path = `/threads/${run.thread_id}/runs/${run.id}/submit_tool_outputs`;
  return wire.ask('POST', path, { body: { tool_outputs: outputsOf(run, output) } });
}

/** What two submissions to one run that waits were told, and what the model was. */
async function race(texts: readonly [string, string]): Promise<{ replies: readonly Reply[]; said: string }> {
  const [here, there] = wires;
  if (here === undefined) throw new Error('there is no API');
  const run = await here.play(await here.thread('hi'), { assistant_id });
  const replies = await Promise.all([submit(here, run, texts[0]), submit(there, run, texts[1])]);
  await here.rested(run);
  const said = JSON.stringify(await here.list(`/threads/${run.thread_id}/messages`));
  return { replies, said };
}

/** The races, a few at a time. */
async function races(texts: readonly [string, string]) {
  const done: Awaited<ReturnType<typeof race>>[] = [];
  while (done.length < RACES)
    done.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => race(texts)))));
  return done;
}

/** Shows A-OUT-08. */
test('of two that differ one is taken, and the other is told that the run wants none', async () => {
  const done = await races(['sunny', 'rainy']);
  const statuses = done.map(({ replies }) =>
    replies.map(({ status }) => status).toSorted((one, two) => one - two),
  );
  expect(statuses.filter(([one, two]) => one === 200 && two === 200)).toHaveLength(0);
  expect(statuses).toEqual(done.map(() => [200, 400]));
  for (const { replies, said } of done) {
    const taken = replies.findIndex(({ status }) => status === 200);
    expect(said).toContain(['sunny', 'rainy'][taken]);
    expect(replies[1 - taken]?.text).toMatch(/Runs in status \\?"\w+\\?" do not accept tool outputs\./);
  }
}, 60_000);

/** Shows A-OUT-09. */
test('two that are the same are one that came twice, unless the run has ended', async () => {
  for (const { replies } of await races(['sunny', 'sunny'])) {
    expect(replies.some(({ status }) => status === 200)).toBe(true);
    const refusals = replies.filter(({ status }) => status !== 200).map(({ text }) => text);
    expect(refusals.filter((text) => !text.includes('completed'))).toEqual([]);
  }
}, 60_000);

/** A worker with two model servers, of which one never finishes: the other's runs go on, and nothing is lost or hurried. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { startService, type Service } from '../support/service.ts';
import { FakeUpstream, finish, gate, says, text, type UpstreamRequest } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';

const SLOTS = 4;
/** All but the one that is kept for the other. */
const SHARE = 3;
const HANGING = 12;

let hanging: FakeUpstream;
let healthy: FakeUpstream;
let service: Service;
let wire: Wire;
let folder: string;

beforeAll(async () => {
  [hanging, healthy] = await Promise.all([FakeUpstream.start(), FakeUpstream.start()]);
  folder = await mkdtemp(join(tmpdir(), 'longrun-test-'));
  const file = join(folder, 'config.json');
  const upstreams = [
    { name: 'hanging', baseUrl: hanging.baseUrl },
    { name: 'healthy', baseUrl: healthy.baseUrl },
  ];
  await writeFile(file, JSON.stringify({ upstreams }));
  const env = { LONGRUN_CONFIG: file, WORKER_CONCURRENCY: String(SLOTS), LOG_LEVEL: 'debug' };
  service = await startService({ redisUrl: inject('redisUrl'), env });
  wire = new Wire(service.baseUrl);
});

afterAll(async () => {
  await service?.stop();
  await Promise.all([hanging?.stop(), healthy?.stop()]);
  await rm(folder, { recursive: true, force: true });
});

test('a model server that hangs leaves slots to the other, and its own runs are done when it is well again', async () => {
  const open = gate();
  hanging.reply(() => [text('Once'), open, finish('stop')]);
  healthy.reply(() => says('Hello'));
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const runOn = async (backend_id: string, question: string) =>
    wire.run(await wire.thread(question), { assistant_id, metadata: { backend_id } });
  const refused = () =>
    service.logs.filter(({ msg, ['outcome']: outcome }) => msg === 'job' && outcome === 'no slot');

  const waiting = [];
  for (let count = 0; count < HANGING; count += 1) waiting.push(await runOn('hanging', `question ${count}`));
  await hanging.asked(() => hanging.requests.length === SHARE);
  // Every further run of it has been looked at, and laid aside.
  await expect.poll(() => new Set(refused().map((line) => line['run_id'])).size).toBe(HANGING - SHARE);

  for (let count = 0; count < 3 * SLOTS; count += 1) {
    const run = await wire.rested(await runOn('healthy', `hello ${count}`));
    expect(run.status).toBe('completed');
  }
  expect(hanging.requests).toHaveLength(SHARE);
  const told = service.logs.filter(({ msg }) => msg.startsWith('an upstream has all the slots'));
  expect(told).toMatchObject([{ upstream: 'hanging', held: SHARE, level: 40 }]);

  open.open();
  const ended = await Promise.all(waiting.map(async (run) => wire.rested(run)));
  expect(ended.map(({ status }) => status)).toEqual(waiting.map(() => 'completed'));
  // None was asked twice. The longest waiting is woken first, but one may also come by itself just then.
  const order = hanging.requests.map((request: UpstreamRequest) => Number(request.text.split(' ')[1]));
  expect(order.toSorted((a, b) => a - b)).toEqual(waiting.map((_, index) => index));
  // Laid aside for longer each time, whatever the machine's pace: no job has come back without end.
  const looks = new Map<unknown, number>();
  for (const line of refused()) looks.set(line['run_id'], (looks.get(line['run_id']) ?? 0) + 1);
  expect(Math.max(...looks.values())).toBeLessThan(12);
  // A run that found no slot was not begun: no attempt, no second start.
  const starts = service.logs.filter((line) => line['event'] === 'run.started');
  expect(starts).toHaveLength(HANGING + 3 * SLOTS);
});

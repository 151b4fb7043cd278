/** A worker that is killed while it runs code: another one runs it anew, and nothing of the first try is left on the machine. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { z } from 'zod';
import { hasBubblewrap } from '../sandbox/sandbox.ts';
import { options } from '../sandbox/options.ts';
import { problemsOf } from '../support/order.ts';
import { descendantsOf, stillThere } from '../support/processes.ts';
import { startService } from '../support/service.ts';
import { calls, FakeUpstream, says } from '../support/upstream.ts';
import { runIn, Wire } from '../support/wire.ts';

// Where the packages are not there yet, they are set up, which takes a minute or two.
vi.setConfig({ testTimeout: 400_000 });

const canRun = await hasBubblewrap();

const stepSchema = z.looseObject({
  type: z.string(),
  status: z.string(),
  step_details: z.looseObject({
    tool_calls: z
      .array(z.looseObject({ code_interpreter: z.looseObject({ outputs: z.array(z.unknown()) }) }))
      .optional(),
  }),
});

/** Prints, starts a child, and never ends. */
const ENDLESS = `import os, time
open('/mnt/data/half.txt', 'w').write('half')
os.fork()
print('begun', flush=True)
while True:
    time.sleep(1)
`;

describe.skipIf(!canRun)('a worker that is killed in the middle of a call', () => {
  test('is missed: the run is completed by another one, and no process and no folder of the call is left', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'killed-code-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const upstream = await FakeUpstream.start();
    onTestFinished(async () => upstream.stop());
    let asked = 0;
    upstream.reply(({ outputs }) => {
      if (outputs.length > 0) return says('It is 42.');
      asked += 1;
      return calls([
        { name: 'code_interpreter', arguments: { code: asked === 1 ? ENDLESS : 'print(6 * 7)' } },
      ]);
    });
    const service = await startService({
      redisUrl: inject('redisUrl'),
      upstream,
      env: { CODE_FOLDER: options().codeFolder, CODE_TIMEOUT_S: '3000', TMPDIR: folder, LOCK_MS: '3000' },
    });
    onTestFinished(async () => service.stop());
    const left = (): readonly string[] => readdirSync(folder).filter((name) => name.startsWith('longrun-'));
    const wire = new Wire(service.baseUrl);
    const { id: assistant_id } = await wire.ok('POST', '/assistants', {
      model: 'm',
      tools: [{ type: 'code_interpreter' }],
    });
    const body = { assistant_id, stream: true };
    const stream = await wire.stream('POST', `/threads/${await wire.thread('6 * 7?')}/runs`, { body });
    const [created] = await stream.until('thread.run.created');
    const run = runIn(created);
    for (let data = ''; !data.includes('"logs":"begun');) data = JSON.stringify((await stream.next())?.data);

    const [worker] = service.living.filter(({ name }) => name === 'worker 0');
    const started = descendantsOf(worker?.pid ?? 0);
    expect(started.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['bwrap', expect.stringMatching(/^python/)]),
    );
    await service.startWorker();
    await service.killWorker(0);
    await expect.poll(() => stillThere(started)).toEqual([]);

    await stream.rest();
    expect(await wire.get(run)).toMatchObject({ status: 'completed', last_error: null });
    const path = `/threads/${run.thread_id}/runs/${run.id}`;
    const steps = z.array(stepSchema).parse(await wire.list(`${path}/steps?order=asc`));
    expect(steps.map(({ type, status }) => [type, status])).toEqual([
      ['tool_calls', 'failed'],
      ['tool_calls', 'completed'],
      ['message_creation', 'completed'],
    ]);
    expect(steps[1]?.step_details.tool_calls).toMatchObject([
      { code_interpreter: { input: 'print(6 * 7)', outputs: [{ type: 'logs', logs: '42\n' }] } },
    ]);
    const told = await (await wire.stream('GET', `${path}/events?after=0`)).rest();
    expect(problemsOf(told.map((frame) => ({ ...frame, id: null })))).toEqual([]);
    expect(await wire.list(`/threads/${run.thread_id}/messages`)).toHaveLength(2);
    // A file that half a call has made is not the project's.
    expect(await wire.list('/files')).toEqual([]);

    // What the dead worker had on disk goes when a worker starts in its place; the others leave nothing.
    expect(left()).not.toEqual([]);
    await service.startWorker();
    await expect.poll(left).toEqual([]);
  });
});

/** The API process under two hundred open readers is killed: they go on at another one, and hear every event once. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { finish, gate, text } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';
import { Deployment } from './deployment.ts';
import { Watcher } from './reading.ts';
import { Sdk, Traffic } from './sdk.ts';

const READERS = 200;
const RUNS = 10;
const LOOK_EVERY_MS = 20;
/** The model says nothing while the readers come, which takes a busy machine a while. */
const PATIENT = { UPSTREAM_IDLE_MS: '120000' };

test(`an API dies under ${READERS} readers, and each hears every event exactly once`, async () => {
  const deployment = await Deployment.start({ apis: 2, workers: 2, persistence: 'everysec', env: PATIENT });
  try {
    const { service, upstream } = deployment;
    const [dying = '', other = ''] = service.origins;
    const door = gate();
    upstream.reply(() => [text('Once '), text('upon '), door, text('a '), text('time.'), finish('stop')]);
    const wire = new Wire(`${other}/v1`);
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const runs = await Promise.all(
      Array.from({ length: RUNS }, async () => wire.run(await wire.thread('go'), { assistant_id })),
    );
    const traffic = new Traffic();
    const { signal } = new AbortController();
    const watchers = runs.flatMap((run) =>
      Array.from(
        { length: READERS / RUNS },
        () => new Watcher(new Sdk([dying, other], 0, traffic, signal), run),
      ),
    );
    const ended = watchers.map((watcher) => watcher.until(['thread.run.completed']));
    while (!watchers.every((watcher) => said(watcher).includes('upon '))) await delay(LOOK_EVERY_MS);

    await service.crashApi(dying);
    door.open();
    await Promise.all(ended);
    for (const watcher of watchers) {
      const seqs = watcher.heard.map(({ seq }) => seq);
      expect(seqs).toEqual(seqs.map((_, index) => index + 1));
      expect(said(watcher)).toBe('Once upon a time.');
    }
    // All of them were cut off, and nobody had to ask more than once again.
    expect(traffic.statuses.get(0) ?? 0).toBeLessThanOrEqual(READERS);
  } finally {
    await deployment.stop();
  }
});

/** The text of the deltas that were heard. */
function said({ heard }: Watcher): string {
  const deltas = heard.flatMap(({ frames }) => frames.filter(({ name }) => name === 'thread.message.delta'));
  return deltas.map(({ data }) => /"value":"([^"]*)"/.exec(JSON.stringify(data))?.[1] ?? '').join('');
}

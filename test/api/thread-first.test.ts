/** A request in a thread that is gone says so before anything else, also where its process has lately written to that thread. */
import { describe, expect, test } from 'vitest';
import { Wire } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const { service, wire } = withService({ apis: 2 });

const message = { role: 'user', content: 'hi' };

/** Threads that the first API has written to. */
async function known(): Promise<string> {
  const thread = await wire.thread();
  await wire.ok('POST', `/threads/${thread}/messages`, message);
  return thread;
}

async function deletedElsewhere(): Promise<string> {
  const thread = await known();
  await new Wire(`${service.origins[1]}/v1`).ok('DELETE', `/threads/${thread}`);
  return thread;
}

describe('what is sent to a thread that another process has deleted', () => {
  test.each([
    ['a message', 'messages', message],
    ['a wrong message', 'messages', { role: 'nobody' }],
    ['a run', 'runs', { assistant_id: 'asst_none' }],
    ['a wrong run', 'runs', { assistant_id: 7 }],
    ['no JSON', 'runs', '{'],
  ])('is refused because of the thread: %s', async (_, kind, body) => {
    const thread = await deletedElsewhere();
    const reply = await wire.ask('POST', `/threads/${thread}/${kind}`, { body });
    expect(reply).toMatchObject({
      status: 404,
      body: { error: { message: `No thread found with id '${thread}'.` } },
    });
  });

  test('a run of an assistant that is there', async () => {
    const thread = await deletedElsewhere();
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const reply = await wire.ask('POST', `/threads/${thread}/runs`, { body: { assistant_id } });
    expect(reply).toMatchObject({
      status: 404,
      body: { error: { message: `No thread found with id '${thread}'.` } },
    });
    expect(await wire.list('/threads')).toEqual([]);
  });
});

test('what is wrong in a thread that is there is told as it is', async () => {
  const thread = await known();
  const wrong = await wire.ask('POST', `/threads/${thread}/messages`, { body: { role: 'nobody' } });
  expect(wrong).toMatchObject({ status: 400, body: { error: { param: 'role' } } });
  const unknown = await wire.ask('POST', `/threads/${thread}/runs`, { body: { assistant_id: 'asst_none' } });
  expect(unknown).toMatchObject({
    status: 404,
    body: { error: { message: "No assistant found with id 'asst_none'." } },
  });
});

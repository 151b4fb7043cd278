/**
 * Paging and refusals as the official Node SDKs of four major versions see them: every list both ways and from any cursor, and
 * every kind of refusal as the SDK's own error class with the hosted API's words.
 */
/* oxlint-disable vitest/expect-expect -- expectPages, expectRefusal and their like assert. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  outputsFor,
  SDKS,
  WEATHER,
  type Client,
  type PageQuery,
  type Pages,
  type Sdk,
} from '../support/sdks.ts';
import { KEY, KEYED, withSharedService } from '../support/shared-service.ts';
import { calls, says, text } from '../support/upstream.ts';

const { upstream, service } = withSharedService(KEYED);

describe.each(SDKS)('$name', (sdk) => {
  let client: Client;
  let assistantId: string;

  beforeAll(async () => {
    client = sdk.connect(service.baseUrl, KEY);
    assistantId = (await client.createAssistant({ model: 'gpt-4o', tools: [WEATHER] })).id;
  });

  /** A thread in which the user has said `content`. */
  async function threadWith(content: string): Promise<string> {
    return (await client.createThread([{ role: 'user', content }])).id;
  }

  describe('lists', () => {
    /** Shows A-HELP-09, A-LIST-01, A-LIST-02, A-LIST-04, A-LIST-05, A-LIST-06, A-LIST-09, A-LIST-10. */
    test('of messages', async () => {
      const { id } = await client.createThread();
      const created = await inTurn(5, (n) =>
        client.createMessage(id, { role: 'user', content: `message ${n}` }),
      );
      await expectPages((query) => client.listMessages(id, query), created);
      await expectEnvelopes(`/threads/${id}/messages`, created);
    });

    /** Shows A-HELP-09, A-LIST-01, A-LIST-05, A-LIST-06, A-LIST-09, A-LIST-10. */
    test('of runs', async () => {
      const id = await threadWith('hello');
      const created = await inTurn(4, () => client.createAndPoll(id, { assistant_id: assistantId }));
      await expectPages((query) => client.listRuns(id, query), created);
      await expectEnvelopes(`/threads/${id}/runs`, created);
    });

    /** Shows A-HELP-09, A-LIST-01, A-LIST-05, A-LIST-06, A-LIST-10. */
    test('of steps', async () => {
      upstream.reply(({ outputs }) =>
        outputs.length > 0
          ? says('Now I know.')
          : [text('Let me see.'), ...calls([{ name: 'weather', arguments: {} }])],
      );
      const id = await threadWith('weather?');
      const run = await client.createAndPoll(id, { assistant_id: assistantId });
      await client.submitAndPoll(id, run.id, outputsFor(run, 'sunny'));
      const { data: created } = await client.listSteps(id, run.id, { order: 'asc' });
      expect(created.map(({ type }) => type)).toEqual(['message_creation', 'tool_calls', 'message_creation']);
      await expectPages((query) => client.listSteps(id, run.id, query), idsOf(created));
      await expectEnvelopes(`/threads/${id}/runs/${run.id}/steps`, idsOf(created));
    });

    /** Shows A-HELP-09, A-LIST-05, A-LIST-06, A-LIST-11. */
    test('of assistants', async () => {
      const created = await inTurn(5, () => client.createAssistant({ model: 'gpt-4o' }));
      await expectPages((query) => client.listAssistants(query), created);
      await client.deleteAssistant(created[2] ?? '');
      const { data } = await client.listAssistants({ order: 'asc', after: created[2] ?? '' });
      expect(idsOf(data), 'a cursor may be deleted while one pages').toEqual(created.slice(3));
    });
  });

  describe('refuses', () => {
    /** Shows A-ERR-12, A-WIRE-03. */
    test('a wrong key', async () => {
      const stranger = sdk.connect(service.baseUrl, 'a-wrong-key');
      await expectRefusal(sdk, 401, () => stranger.listAssistants(), { code: 'invalid_api_key' });
    });

    /** Shows A-ERR-12, A-ID-09, A-RUN-19. */
    test('objects that do not exist', async () => {
      const thread = await threadWith('hello');
      const run = await client.createAndPoll(thread, { assistant_id: assistantId });
      const missing: readonly [string, () => PromiseLike<unknown>][] = [
        ["No assistant found with id 'asst_none'.", () => client.retrieveAssistant('asst_none')],
        ["No thread found with id 'thread_none'.", () => client.listMessages('thread_none')],
        ["No message found with id 'msg_none'.", () => client.retrieveMessage(thread, 'msg_none')],
        ["No run found with id 'run_none'.", () => client.retrieveRun(thread, 'run_none')],
        ["No run step found with id 'step_none'.", () => client.retrieveStep(thread, run.id, 'step_none')],
        [
          "No assistant found with id 'asst_gone'.",
          () => client.createAndPoll(thread, { assistant_id: 'asst_gone' }),
        ],
      ];
      for (const [message, ask] of missing)
        await expectRefusal(sdk, 404, ask, { message, code: null, param: null });
    });

    test('a thread that was deleted', async () => {
      const thread = await threadWith('hello');
      await expect(client.deleteThread(thread)).resolves.toMatchObject({ deleted: true });
      await expectRefusal(sdk, 404, () => client.listMessages(thread), {
        message: `No thread found with id '${thread}'.`,
      });
    });

    /** Shows A-ERR-05, A-ERR-12. */
    test('parameters that are unknown or out of their limits, by name', async () => {
      const thread = await threadWith('hello');
      const coloured = { model: 'gpt-4o', colour: 'red' };
      const many = Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`key${n}`, 'value']));
      const wrong: readonly [string, string, () => PromiseLike<unknown>][] = [
        ['unknown_parameter', 'colour', () => client.createAssistant(coloured)],
        ['integer_below_min_value', 'limit', () => client.listMessages(thread, { limit: 0 })],
        ['integer_above_max_value', 'limit', () => client.listMessages(thread, { limit: 101 })],
        ['invalid_value', 'after', () => client.listMessages(thread, { after: 'msg_none' })],
        [
          'string_above_max_length',
          'metadata.note',
          () =>
            client.createAndPoll(thread, { assistant_id: assistantId, metadata: { note: 'x'.repeat(513) } }),
        ],
        [
          'object_above_max_properties',
          'metadata',
          () => client.createAndPoll(thread, { assistant_id: assistantId, metadata: many }),
        ],
      ];
      for (const [code, param, ask] of wrong) await expectRefusal(sdk, 400, ask, { code, param });
    });

    /** Shows A-CANCEL-03, A-HELP-08, A-LOCK-01, A-LOCK-02, A-OUT-03, A-OUT-05. */
    test('a message and a second run while a run is active, and all that does not fit the state of a run', async () => {
      const cities = ['Taipei', 'Paris'];
      upstream.reply(() => calls(cities.map((city) => ({ name: 'weather', arguments: { city } }))));
      const thread = await threadWith('weather?');
      const run = await client.createAndPoll(thread, { assistant_id: assistantId });
      const [first, second] = outputsFor(run, 'sunny', 'wet');
      const submit = (ids: readonly (typeof first)[]) =>
        client.submitAndPoll(
          thread,
          run.id,
          ids.flatMap((output) => output ?? []),
        );
      const refusals: readonly [string, () => PromiseLike<unknown>][] = [
        [
          `Can't add messages to ${thread} while a run ${run.id} is active.`,
          () => client.createMessage(thread, { role: 'user', content: 'wait' }),
        ],
        [
          `Thread ${thread} already has an active run ${run.id}.`,
          () => client.createAndPoll(thread, { assistant_id: assistantId }),
        ],
        [
          `Expected tool outputs for call_ids ['${first?.tool_call_id}', '${second?.tool_call_id}'], got ['${first?.tool_call_id}']`,
          () => submit([first]),
        ],
      ];
      for (const [message, ask] of refusals)
        await expectRefusal(sdk, 400, ask, { message, code: null, param: null });

      await expect(client.cancelRun(thread, run.id)).resolves.toMatchObject({ status: 'cancelling' });
      await expect(client.poll(thread, run.id)).resolves.toMatchObject({ status: 'cancelled' });
      await expectRefusal(sdk, 400, () => client.cancelRun(thread, run.id), {
        message: "Cannot cancel run with status 'cancelled'.",
      });
      await expectRefusal(sdk, 400, () => submit([first, second]), {
        message: 'Runs in status "cancelled" do not accept tool outputs.',
      });
    });
  });
});

interface Identified {
  readonly id: string;
}

const idsOf = (items: readonly Identified[]): string[] => items.map(({ id }) => id);

/** Creates `count` objects, each after the one before, and gives their ids: most fall into the same second. */
async function inTurn(
  count: number,
  create: (n: number) => PromiseLike<Identified>,
): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) ids.push((await create(n)).id);
  return ids;
}

/** Every way through a list shows `created` in the order of creation, or exactly backwards. */
async function expectPages(
  list: (query: PageQuery) => Pages<Identified>,
  created: readonly string[],
): Promise<void> {
  const all = async (query: PageQuery): Promise<readonly string[]> => {
    const ids: string[] = [];
    for await (const { id } of list(query)) if (created.includes(id)) ids.push(id);
    return ids;
  };
  const page = async (query: PageQuery): Promise<readonly string[]> => idsOf((await list(query)).data);
  const [first = '', second = ''] = created;
  const [last = '', butLast = ''] = created.toReversed();
  const ascending = { order: 'asc', limit: 2 } as const;
  const descending = { order: 'desc', limit: 2 } as const;

  expect(await all(ascending)).toEqual(created);
  expect(await all({ limit: 1 })).toEqual(created.toReversed());
  expect(await page({ ...ascending, after: first })).toEqual(created.slice(1, 3));
  expect(await page({ ...ascending, before: last })).toEqual(created.slice(-3, -1));
  expect(await page({ ...descending, after: last })).toEqual(created.toReversed().slice(1, 3));
  expect(await page({ ...descending, before: first })).toEqual(created.toReversed().slice(-3, -1));
  expect(await page({ ...ascending, after: first, before: butLast })).toEqual(created.slice(1, -2).slice(-2));
  expect(await page({ ...ascending, limit: 1, after: second })).toEqual(created.slice(2, 3));
}

/** The bare pages of a list that holds nothing but `created`. */
async function expectEnvelopes(path: string, created: readonly string[]): Promise<void> {
  const get = async (query: string): Promise<unknown> => {
    const headers = { authorization: `Bearer ${KEY}` };
    return (await fetch(`${service.baseUrl}${path}?${query}`, { headers })).json();
  };
  const [first, second] = created;
  const last = created.at(-1);
  expect(await get('order=asc&limit=2')).toMatchObject({
    object: 'list',
    first_id: first,
    last_id: second,
    has_more: true,
  });
  expect(await get(`limit=${created.length}`)).toMatchObject({
    first_id: last,
    last_id: first,
    has_more: false,
  });
  const empty = { object: 'list', data: [], first_id: null, last_id: null, has_more: false };
  expect(await get(`order=asc&after=${last}`)).toEqual(empty);
}

/** The SDK throws its own class for the status, with OpenAI's fields in it. */
async function expectRefusal(
  sdk: Sdk,
  status: 400 | 401 | 404,
  ask: () => PromiseLike<unknown>,
  fields: { readonly message?: string; readonly code?: string | null; readonly param?: string | null },
): Promise<void> {
  const { message, ...rest } = fields;
  const error: unknown = await ask().then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(sdk.errors[status]);
  expect(error).toMatchObject({
    status,
    type: 'invalid_request_error',
    ...(message !== undefined && { message: `${status} ${message}` }),
    ...rest,
  });
}

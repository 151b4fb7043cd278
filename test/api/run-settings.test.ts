/**
 * What of an assistant, a thread and a request makes a run, and reaches the model: which value wins, what is copied once and for
 * all, and which messages come along.
 */
import { describe, expect, test } from 'vitest';
import { calls, says } from '../support/upstream.ts';
import { textOf, type WireRun } from '../support/wire.ts';
import { withSharedService } from '../support/shared-service.ts';

const TOOL = {
  type: 'function',
  function: { name: 'f', parameters: { type: 'object', properties: {} }, strict: false },
};

const { upstream, wire } = withSharedService();

/** An assistant of these fields; its id. */
async function assistantOf(fields: object = {}): Promise<string> {
  return (await wire.ok('POST', '/assistants', { model: 'm', ...fields })).id;
}

/** What the model was asked last. */
function asked(): unknown {
  return upstream.requests.at(-1)?.body;
}

async function messagesOf(thread: string): Promise<string[]> {
  return (await wire.list(`/threads/${thread}/messages?order=asc`)).map(textOf);
}

describe('a run', () => {
  /** Shows A-ASST-18, A-RUN-20. */
  test.each([
    ['short', 'old'],
    ['long', 'be kind '.repeat(1_000).trim()],
  ])('copies its assistant: changes and deletion do not reach its %s instructions', async (_, old) => {
    upstream.reply(({ outputs }) =>
      outputs.length > 0 ? says('done') : calls([{ name: 'f', arguments: {} }]),
    );
    const assistant = await assistantOf({ instructions: old, tools: [TOOL], temperature: 0.5 });
    const run = await wire.play(await wire.thread('x'), { assistant_id: assistant });
    const changes = { instructions: 'new', tools: [], temperature: 0, model: 'other' };
    await wire.ok('POST', `/assistants/${assistant}`, changes);
    await wire.ok('DELETE', `/assistants/${assistant}`);
    const ended = await wire.rested(await wire.submit(run, 'x'));
    const copied = { status: 'completed', model: 'm', instructions: old, tools: [TOOL], temperature: 0.5 };
    expect(ended).toMatchObject(copied);
    expect(await wire.list(`/threads/${run.thread_id}/runs`)).toMatchObject([copied]);
    const system = { role: 'system', content: old };
    const messages: unknown = expect.arrayContaining([system]);
    expect(asked()).toMatchObject({ model: 'm', temperature: 0.5, tools: [{ type: 'function' }], messages });
  });

  const INSTRUCTIONS: readonly [string | null, object, string][] = [
    ['A', {}, 'A'],
    [null, {}, ''],
    ['A', { instructions: 'R' }, 'R'],
    ['A', { instructions: '' }, ''],
    ['A', { instructions: null }, 'A'],
    ['A', { additional_instructions: 'B' }, 'A\nB'],
    [null, { additional_instructions: 'B' }, 'B'],
    ['A', { instructions: 'R', additional_instructions: 'B' }, 'R\nB'],
    ['A', { additional_instructions: '' }, 'A'],
  ];
  /** Shows A-PARAM-01, A-PARAM-02, A-RUN-03. */
  test.each(INSTRUCTIONS)('of an assistant told %j with %j is told %j', async (own, body, told) => {
    const assistant_id = await assistantOf({ instructions: own });
    const run = await wire.play(await wire.thread('hello'), { assistant_id, ...body });
    expect(run.instructions).toBe(told);
    const system = told === '' ? [] : [{ role: 'system', content: told }];
    expect(asked()).toMatchObject({ messages: [...system, { role: 'user', content: 'hello' }] });
    expect(await wire.ok('GET', `/assistants/${assistant_id}`)).toMatchObject({ instructions: own });
  });

  /** Shows A-PARAM-06, A-PARAM-11, A-PARAM-12, A-RUN-06, A-RUN-21, A-MAP-22, A-RUN-25. */
  test('overrides what its assistant says, for this once', async () => {
    const assistant_id = await assistantOf({ tools: [TOOL], temperature: 0.5, top_p: 0.5 });
    const given = {
      model: 'm2',
      tools: [],
      temperature: 0.1,
      top_p: 0.2,
      reasoning_effort: 'high',
      response_format: { type: 'text' },
      metadata: { a: '1' },
      max_completion_tokens: 50,
      max_prompt_tokens: 5_000,
      truncation_strategy: { type: 'last_messages', last_messages: 1 },
      tool_choice: 'none',
      parallel_tool_calls: false,
    };
    const thread = await wire.thread('one', 'two');
    const run = await wire.play(thread, { assistant_id, ...given });
    expect(run).toMatchObject({ status: 'completed', ...given });
    expect(asked()).toMatchObject({
      model: 'm2',
      temperature: 0.1,
      top_p: 0.2,
      reasoning_effort: 'high',
      max_tokens: 50,
      messages: [{ role: 'user', content: 'two' }],
    });
    expect(asked()).not.toHaveProperty('tools');
    const again = await wire.play(thread, { assistant_id });
    expect(again).toMatchObject({ model: 'm', tools: [TOOL], temperature: 0.5, metadata: {} });
  });

  /** Shows A-RUN-21. */
  test('keeps a count of messages only where it is asked to cut by it', async () => {
    const body = {
      assistant_id: await assistantOf(),
      truncation_strategy: { type: 'auto', last_messages: 1 },
    };
    const run = await wire.play(await wire.thread('one', 'two'), body);
    expect(run).toMatchObject({ truncation_strategy: { type: 'auto', last_messages: null } });
    expect(asked()).toMatchObject({ messages: [{ content: 'one\n\ntwo' }] });
  });

  /** Shows A-MSG-08, A-PARAM-03, A-PARAM-04. */
  test('brings messages along, which stay in the thread', async () => {
    const thread = await wire.thread('one');
    const additional_messages = [
      { role: 'assistant', content: 'two' },
      { role: 'user', content: [{ type: 'text', text: 'three' }], metadata: { n: '3' } },
    ];
    const run = await wire.play(thread, { assistant_id: await assistantOf(), additional_messages });
    expect(await messagesOf(thread)).toEqual(['one', 'two', 'three', 'You said: three']);
    const [, two, three] = await wire.list(`/threads/${thread}/messages?order=asc`);
    expect(two).toMatchObject({ role: 'assistant', run_id: null, assistant_id: null });
    expect(three).toMatchObject({ role: 'user', run_id: null, metadata: { n: '3' } });
    expect(run.status).toBe('completed');
  });

  /** Shows A-ERR-15, A-PARAM-05. */
  test('that is refused brings nothing along', async () => {
    const thread = await wire.thread('one');
    const additional_messages = [{ role: 'user', content: 'two' }];
    const wrong: readonly object[] = [
      { assistant_id: 'asst_none', additional_messages },
      { assistant_id: await assistantOf(), additional_messages, tool_choice: 'required' },
      { assistant_id: await assistantOf(), additional_messages: [...additional_messages, {}] },
    ];
    for (const body of wrong)
      expect((await wire.ask('POST', `/threads/${thread}/runs`, { body })).status).toBeGreaterThan(399);
    expect(await messagesOf(thread)).toEqual(['one']);
    expect(await wire.list(`/threads/${thread}/runs`)).toEqual([]);
  });

  /** Shows A-PARAM-08, A-RUN-25. */
  test('must call a tool in its first turn only', async () => {
    upstream.reply(({ outputs }) =>
      outputs.length > 0 ? says('done') : calls([{ name: 'f', arguments: {} }]),
    );
    const choice = { type: 'function', function: { name: 'f' } };
    const assistant_id = await assistantOf({ tools: [TOOL] });
    const run = await wire.play(await wire.thread('x'), { assistant_id, tool_choice: choice });
    expect(run).toMatchObject({ status: 'requires_action', tool_choice: choice });
    expect(asked()).toMatchObject({ tool_choice: choice });
    const ended = await wire.rested(await wire.submit(run, 'x'));
    expect(ended).toMatchObject({ status: 'completed', tool_choice: choice });
    expect(asked()).not.toMatchObject({ tool_choice: choice });
  });

  /** Shows A-PARAM-10. */
  test('asked for one call at a time never waits for two', async () => {
    upstream.reply(() =>
      calls([
        { name: 'f', arguments: {} },
        { name: 'f', arguments: {} },
      ]),
    );
    const body = { assistant_id: await assistantOf({ tools: [TOOL] }), parallel_tool_calls: false };
    const run: WireRun = await wire.play(await wire.thread('x'), body);
    expect(run.required_action?.submit_tool_outputs.tool_calls).toHaveLength(1);
  });
});

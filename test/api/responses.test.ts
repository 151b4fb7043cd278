/** The Responses API with the official client: create, stream, continue, branch, call, cancel, delete. */
import OpenAI from 'openai';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { calls, finish, gate, refuses, says, text, TURN_USAGE, type Step } from '../support/upstream.ts';
import { withSharedService } from '../support/shared-service.ts';

const { upstream, service } = withSharedService();

let client: OpenAI;

beforeEach(() => {
  client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
});

const lookUp = {
  type: 'function',
  name: 'look_up',
  description: 'Looks something up.',
  parameters: { type: 'object', properties: {}, additionalProperties: false },
  strict: false,
} as const;

describe('a response', () => {
  /** Shows R-OBJ-02. */
  test('has every key, and the words of the model', async () => {
    const response = await client.responses.create({ model: 'm', input: 'hello' });
    expect(response.output_text).toBe('You said: hello');
    expect(response.status).toBe('completed');
    expect(response.usage).toMatchObject({
      input_tokens: TURN_USAGE.prompt_tokens,
      output_tokens: TURN_USAGE.completion_tokens,
      total_tokens: TURN_USAGE.total_tokens,
    });
    expect(await client.responses.retrieve(response.id)).toEqual(response);
  });

  /** Shows R-STREAM-01. */
  test('streams in order, and ends with what it is when it is retrieved', async () => {
    upstream.reply(() => says('Once ', 'upon ', 'a time.'));
    const stream = client.responses.stream({ model: 'm', input: 'a story' });
    const types: string[] = [];
    const numbers: number[] = [];
    for await (const event of stream) {
      types.push(event.type);
      numbers.push(event.sequence_number);
    }
    const final = await stream.finalResponse();
    expect(final.output_text).toBe('Once upon a time.');
    expect(numbers).toEqual(numbers.map((_, at) => at));
    expect([...new Set(types)]).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    const { output } = await client.responses.retrieve(final.id);
    expect(final.output).toMatchObject(output);
  });

  /** Shows R-CREATE-01, R-CREATE-02, R-OBJ-03. */
  test('goes on from the previous one, which knows what was said', async () => {
    const first = await client.responses.create({ model: 'm', input: 'one' });
    upstream.reply((request) =>
      says(request.body.messages.map(({ content }) => JSON.stringify(content)).join('|')),
    );
    const second = await client.responses.create({
      model: 'm',
      input: 'two',
      previous_response_id: first.id,
    });
    expect(second.output_text).toBe('"one"|"You said: one"|"two"');
    const beside = await client.responses.create({
      model: 'm',
      input: 'three',
      previous_response_id: first.id,
    });
    expect(beside.output_text).toBe('"one"|"You said: one"|"three"');
    const further = await client.responses.create({
      model: 'm',
      input: 'four',
      previous_response_id: beside.id,
    });
    expect(further.output_text).toContain('"You said: one"|"three"|');
    expect(further.output_text).toMatch(/"four"$/);
    expect(further.output_text).not.toContain('"two"');
    const items = await client.responses.inputItems.list(second.id);
    expect(items.data).toMatchObject([{ type: 'message', role: 'user', content: [{ text: 'two' }] }]);
  });

  test('ends with the calls of the client, whose outputs the next one brings', async () => {
    upstream.reply((request) =>
      request.outputs.length === 0
        ? calls([{ name: 'look_up', arguments: {} }])
        : says(request.outputs.join()),
    );
    const first = await client.responses.create({ model: 'm', input: 'look it up', tools: [lookUp] });
    expect(first.status).toBe('completed');
    expect(first.output).toMatchObject([{ type: 'function_call', name: 'look_up', status: 'completed' }]);
    expect(first.tools).toMatchObject([{ type: 'function', name: 'look_up' }]);
    const [call] = first.output;
    const call_id = call?.type === 'function_call' ? call.call_id : '';
    const refused = client.responses.create({ model: 'm', input: 'hello', previous_response_id: first.id });
    await expect(refused).rejects.toMatchObject({ status: 400, param: 'input' });
    const second = await client.responses.create({
      model: 'm',
      input: [{ type: 'function_call_output', call_id, output: 'found' }],
      previous_response_id: first.id,
      tools: [lookUp],
    });
    expect(second.output_text).toBe('found');
  });

  /** Shows R-CREATE-06. */
  test('of the background is polled, and its stream goes on at any number', async () => {
    const door = gate();
    upstream.reply(() => [text('Once '), door, text('upon a time.'), finish('stop')]);
    const { id, status } = await client.responses.create({ model: 'm', input: 'x', background: true });
    expect(status).toBe('queued');
    door.open();
    const all = await client.responses.retrieve(id, { stream: true });
    const events = [];
    for await (const event of all) events.push(event);
    const rest = await client.responses.retrieve(id, { stream: true, starting_after: 4 });
    const later = [];
    for await (const event of rest) later.push(event);
    expect(later).toEqual(events.slice(5));
    expect(await client.responses.retrieve(id)).toMatchObject({
      status: 'completed',
      output_text: 'Once upon a time.',
    });
  });

  test('names each of its thoughts', async () => {
    const thinks = (reasoning_content: string): Step => ({
      type: 'chunk',
      delta: { reasoning_content },
      finish: null,
    });
    upstream.reply(({ outputs }) =>
      outputs.length === 0
        ? [thinks('first'), ...calls([{ name: 'clock', arguments: {} }])]
        : [thinks('second'), ...says('It is late.')],
    );
    const metadata = { auto_tools: 'clock' };
    const { output } = await client.responses.create({ model: 'm', input: 'what time is it?', metadata });
    const ids = output.flatMap(({ type, id }) => (type === 'reasoning' && id !== undefined ? [id] : []));
    const { id: conversation } = await client.conversations.create({});
    const items = ids.map((id) => ({ type: 'item_reference' as const, id }));
    const { data } = await client.conversations.items.create(conversation, { items });
    expect(data).toMatchObject([{ content: [{ text: 'first' }] }, { content: [{ text: 'second' }] }]);
  });

  test('of the background is there for a while although it is not stored', async () => {
    const asked = { model: 'm', input: 'hello', background: true, store: false } as const;
    const { id } = await client.responses.create(asked);
    await vi.waitFor(async () =>
      expect(await client.responses.retrieve(id)).toMatchObject({
        status: 'completed',
        output_text: 'You said: hello',
      }),
    );
    const after = client.responses.create({ model: 'm', input: 'x', previous_response_id: id });
    await expect(after).rejects.toMatchObject({ status: 400, code: 'previous_response_not_found' });
  });

  test('of an Assistants run names its conversation', async () => {
    const assistant = await client.beta.assistants.create({ model: 'm' });
    const thread = await client.beta.threads.create({ messages: [{ role: 'user', content: 'hello' }] });
    const run = await client.beta.threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });
    const response = await client.responses.retrieve(run.id.replace('run_', 'resp_'));
    expect(response.conversation).toEqual({ id: thread.id.replace('thread_', 'conv_') });
    expect(response.output_text).toBe('You said: hello');
    const [message] = (await client.beta.threads.messages.list(thread.id)).data;
    const conversation_id = thread.id.replace('thread_', 'conv_');
    const item = await client.conversations.items.retrieve(message?.id ?? '', { conversation_id });
    expect(item).toMatchObject({ type: 'message', role: 'assistant' });
  });

  test('is cancelled, and deleted', async () => {
    const door = gate();
    upstream.reply(() => [text('Once '), door, finish('stop')]);
    const { id } = await client.responses.create({ model: 'm', input: 'x', background: true });
    expect(await client.responses.cancel(id)).toMatchObject({ status: 'cancelled' });
    expect(await client.responses.cancel(id)).toMatchObject({ status: 'cancelled' });
    await client.responses.delete(id);
    await expect(client.responses.retrieve(id)).rejects.toMatchObject({ status: 404 });
    door.open();
  });

  /** Shows R-CREATE-03. */
  test('that is not stored cannot be found', async () => {
    const response = await client.responses.create({ model: 'm', input: 'hello', store: false });
    expect(response).toMatchObject({ store: false });
    const { id } = response;
    await expect(client.responses.retrieve(id)).rejects.toMatchObject({ status: 404 });
    const after = client.responses.create({ model: 'm', input: 'x', previous_response_id: id });
    await expect(after).rejects.toMatchObject({ status: 400, code: 'previous_response_not_found' });
  });
});

describe('a conversation', () => {
  test('has nothing of a response that failed, once the client asks again', async () => {
    const { id: conversation } = await client.conversations.create({});
    upstream.reply(() => refuses(400, 'no such thing'));
    const failing = client.responses.create({ model: 'm', input: 'what?', conversation });
    await expect(failing).rejects.toMatchObject({ status: 400 });
    upstream.reply((request) => says(String(request.body.messages.length)));
    const { output_text: count } = await client.responses.create({
      model: 'm',
      input: 'what?',
      conversation,
    });
    expect(count).toBe('1');
    const items = await client.conversations.items.list(conversation, { order: 'asc' });
    expect(items.data).toMatchObject([{ role: 'user' }, { role: 'assistant' }]);
  });

  test('goes on without a call that nobody answers, once that is deleted', async () => {
    const { id: conversation } = await client.conversations.create({});
    upstream.reply(() => calls([{ name: 'look_up', arguments: {} }]));
    const asked = { model: 'm', conversation, tools: [lookUp] };
    const { output } = await client.responses.create({ ...asked, input: 'look it up' });
    const conversation_id = conversation;
    upstream.reply(() => says('well'));
    const stuck = client.responses.create({ ...asked, input: 'never mind' });
    await expect(stuck).rejects.toMatchObject({ status: 400, param: 'input' });
    await client.conversations.items.delete(output[0]?.id ?? '', { conversation_id });
    const { output_text } = await client.responses.create({ ...asked, input: 'never mind' });
    expect(output_text).toBe('well');
  });

  test('keeps calls together that were made together', async () => {
    const { id: conversation } = await client.conversations.create({});
    const call = { name: 'look_up', arguments: {} };
    upstream.reply(() => calls([call, call]));
    const { output } = await client.responses.create({
      model: 'm',
      conversation,
      input: 'x',
      tools: [lookUp],
    });
    const deleting = client.conversations.items.delete(output[1]?.id ?? '', {
      conversation_id: conversation,
    });
    await expect(deleting).rejects.toMatchObject({ status: 400, code: 'item_not_alone' });
  });

  test('that has a response under way is locked, or lets the next one wait', async () => {
    const { id: conversation } = await client.conversations.create({});
    const door = gate();
    upstream.reply(({ text: said }) =>
      said === 'one' ? [text('first'), door, finish('stop')] : says('second'),
    );
    await client.responses.create({ model: 'm', input: 'one', conversation, background: true });
    const locked = client.responses.create({ model: 'm', input: 'two', conversation });
    await expect(locked).rejects.toMatchObject({
      status: 400,
      param: 'conversation',
      code: 'conversation_locked',
    });
    const metadata = { multitask: 'enqueue' };
    const waiting = client.responses.create({ model: 'm', input: 'two', conversation, metadata });
    door.open();
    expect((await waiting).output_text).toBe('second');
  });

  test('is a thread: both clients see what the other said', async () => {
    const conversation = await client.conversations.create({
      items: [{ type: 'message', role: 'user', content: 'my name is Ada' }],
      metadata: { topic: 'names' },
    });
    expect(conversation).toMatchObject({ object: 'conversation', metadata: { topic: 'names' } });
    const response = await client.responses.create({
      model: 'm',
      input: 'hello',
      conversation: conversation.id,
    });
    expect(response.conversation).toEqual({ id: conversation.id });
    const threadId = conversation.id.replace('conv_', 'thread_');
    const messages = await client.beta.threads.messages.list(threadId, { order: 'asc' });
    expect(messages.data.map(({ role }) => role)).toEqual(['user', 'user', 'assistant']);
    const items = await client.conversations.items.list(conversation.id, { order: 'asc', limit: 2 });
    const all = [];
    for await (const item of items) all.push(item);
    expect(all).toMatchObject([
      { role: 'user', content: [{ text: 'my name is Ada' }] },
      { role: 'user', content: [{ text: 'hello' }] },
      { role: 'assistant', content: [{ text: 'You said: hello' }] },
    ]);
  });
});

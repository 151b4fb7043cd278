/** Compaction: one sealed item that stands for what was said. */
import OpenAI from 'openai';
import { beforeEach, describe, expect, test } from 'vitest';
import { says, TURN_USAGE } from '../support/upstream.ts';
import { withSharedService } from '../support/shared-service.ts';

const { upstream, service, wire } = withSharedService({ SECRET: 'the secret of these tests' });

let client: OpenAI;

beforeEach(() => {
  client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
});

const echoes = (): void =>
  upstream.reply((request) =>
    says(request.body.messages.map(({ content }) => JSON.stringify(content)).join('|')),
  );

describe('compaction', () => {
  test('makes one item of what was said, which stands for it later', async () => {
    upstream.reply(() => says('The user is ', 'called Ada.'));
    const compacted = await client.responses.compact({
      model: 'm',
      input: [
        { role: 'user', content: 'my name is Ada' },
        { role: 'assistant', content: 'Hello Ada' },
      ],
    });
    expect(compacted).toMatchObject({
      object: 'response.compaction',
      output: [{ type: 'compaction' }],
      usage: { input_tokens: TURN_USAGE.prompt_tokens, output_tokens: TURN_USAGE.completion_tokens },
    });
    expect(JSON.stringify(compacted)).not.toContain('Ada');
    echoes();
    const [item] = compacted.output;
    const after = await client.responses.create({
      model: 'm',
      // What came before the item is left out.
      input: [
        { role: 'user', content: 'long ago' },
        ...(item?.type === 'compaction' ? [item] : []),
        { role: 'user', content: 'who am I?' },
      ],
    });
    expect(after.output_text).toContain('The user is called Ada.');
    expect(after.output_text).toContain('who am I?');
    expect(after.output_text).not.toContain('long ago');
  });

  test('reads a previous response, or a conversation, and leaves both as they are', async () => {
    const first = await client.responses.create({ model: 'm', input: 'my name is Ada' });
    const conversation = await client.conversations.create({
      items: [{ type: 'message', role: 'user', content: 'my name is Bob' }],
    });
    let seen = '';
    upstream.reply((request) => {
      seen = JSON.stringify(request.body.messages);
      return says('A summary.');
    });
    await client.responses.compact({ model: 'm', previous_response_id: first.id });
    expect(seen).toContain('my name is Ada');
    await wire.ok('POST', '/responses/compact', { model: 'm', conversation: conversation.id });
    expect(seen).toContain('my name is Bob');
    const items = await client.conversations.items.list(conversation.id);
    expect(items.data).toHaveLength(1);
  });

  test('needs a model, and something to compact', async () => {
    const without = await wire.ask('POST', '/responses/compact', { body: { input: 'x' } });
    expect(without).toMatchObject({ status: 400, body: { error: { param: 'model' } } });
    const empty = await wire.ask('POST', '/responses/compact', { body: { model: 'm' } });
    expect(empty).toMatchObject({ status: 400, body: { error: { param: 'input' } } });
  });

  describe('without a SECRET', () => {
    const bare = withSharedService();

    test('says what to do', async () => {
      const body = { model: 'm', input: 'x' };
      const reply = await bare.wire.ask('POST', '/responses/compact', { body });
      expect(reply).toMatchObject({ status: 400, body: { error: { code: 'unsupported' } } });
      expect(reply.text).toContain('SECRET');
    });
  });
});

/** Limits of a response: of what fits into the context of its model, and of the calls of the server's own tools. */
import OpenAI from 'openai';
import { beforeEach, describe, expect, test } from 'vitest';
import { calls, says } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

const { upstream, service } = withService({ env: { CONTEXT_TOKENS: '4000' } });

let client: OpenAI;

beforeEach(() => {
  client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
});

const LONG = 'word '.repeat(6_000);

describe('truncation', () => {
  test('that is disabled refuses what does not fit, and asks no model', async () => {
    let asked = 0;
    upstream.reply(() => {
      asked += 1;
      return says('x');
    });
    const input = [LONG, 'a', 'b'].map((content) => ({ role: 'user', content }) as const);
    await expect(client.responses.create({ model: 'm', input })).rejects.toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
      param: 'input',
    });
    const failed = await client.responses.create({ model: 'm', input, stream: true });
    const events = [];
    for await (const event of failed) events.push(event);
    expect(events.at(-1)).toMatchObject({
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'context_length_exceeded' } },
    });
    expect(asked).toBe(0);
  });

  test('that is automatic leaves the middle out', async () => {
    upstream.reply((request) =>
      says(request.body.messages.map(({ content }) => JSON.stringify(content)).join('|')),
    );
    const input = ['first', LONG, 'last'].map((content) => ({ role: 'user', content }) as const);
    const response = await client.responses.create({ model: 'm', input, truncation: 'auto' });
    expect(response.output_text).toContain('last');
    expect(response.output_text).not.toContain('word word');
    expect(response.truncation).toBe('auto');
  });
});

describe('a limit of tool calls', () => {
  test('lets the model answer once it is reached', async () => {
    const offered: number[] = [];
    upstream.reply((request) => {
      offered.push(request.body.tools?.length ?? 0);
      return request.outputs.length < 2
        ? calls([
            { name: 'clock', arguments: {} },
            { name: 'clock', arguments: {} },
          ])
        : says(request.outputs.join('|'));
    });
    const response = await client.responses.create({
      model: 'm',
      input: 'what time is it?',
      max_tool_calls: 1,
      metadata: { auto_tools: 'clock' },
    });
    expect(response).toMatchObject({ status: 'completed', max_tool_calls: 1 });
    const made = response.output.filter(({ type }) => type === 'mcp_call');
    expect(made).toHaveLength(2);
    expect(made[1]).toMatchObject({ output: expect.stringContaining('limit of tool calls') as unknown });
    expect(offered.at(0)).toBeGreaterThan(0);
    expect(offered.at(-1)).toBe(0);
  });
});

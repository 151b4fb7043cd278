/** Calls of the server's tools that wait for an approval, from clients of the Assistants API. */
import OpenAI from 'openai';
import { beforeEach, describe, expect, test } from 'vitest';
import { calls, says } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

const { upstream, service, wire } = withService();

let client: OpenAI;

beforeEach(() => {
  client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
});

const calendar = {
  type: 'function' as const,
  function: { name: 'calendar', parameters: { type: 'object', properties: {} } },
};

/** The model asks for the time, once, and says what it was told. */
function asksForTheTime(...others: readonly string[]): void {
  const wanted = ['clock', ...others].map((name) => ({ name, arguments: {} }));
  upstream.reply((request) =>
    request.outputs.length === 0 ? calls(wanted) : says(request.outputs.join('|')),
  );
}

/** A run of an assistant whose calls of the clock wait for an approval. */
async function begun(approve = 'clock'): Promise<OpenAI.Beta.Threads.Run> {
  const assistant = await client.beta.assistants.create({
    model: 'm',
    tools: [calendar],
    metadata: { auto_tools: 'clock', approve },
  });
  const { id } = await client.beta.threads.create({ messages: [{ role: 'user', content: 'time?' }] });
  return client.beta.threads.runs.createAndPoll(id, { assistant_id: assistant.id });
}

const answered = async (run: OpenAI.Beta.Threads.Run, outputs: Readonly<Record<string, string>>) =>
  client.beta.threads.runs.submitToolOutputsAndPoll(run.id, {
    thread_id: run.thread_id,
    tool_outputs: Object.entries(outputs).map(([tool_call_id, output]) => ({ tool_call_id, output })),
  });

const asked = ({ required_action: action }: OpenAI.Beta.Threads.Run) =>
  action?.submit_tool_outputs.tool_calls ?? [];

const said = async ({ thread_id: threadId }: OpenAI.Beta.Threads.Run): Promise<unknown> =>
  (await client.beta.threads.messages.list(threadId, { limit: 1 })).data[0]?.content;

describe('a run', () => {
  /** Shows R-MCP-04. */
  test('asks before it calls, and goes on once it may', async () => {
    asksForTheTime();
    const run = await begun();
    expect(run.status).toBe('requires_action');
    const [call] = asked(run);
    expect(call).toMatchObject({ type: 'function', function: { name: 'clock' }, requires_approval: true });
    const done = await answered(run, { [call?.id ?? '']: '{"approve": true}' });
    expect(done.status).toBe('completed');
    expect(JSON.stringify(await said(run))).toContain('unix_seconds');
    const steps = await client.beta.threads.runs.steps.list(run.id, {
      thread_id: run.thread_id,
      order: 'asc',
    });
    expect(steps.data.map(({ step_details: details }) => details)).toMatchObject([
      { tool_calls: [{ function: { name: 'clock', output: '{"approve":true,"reason":null}' } }] },
      {
        tool_calls: [
          { function: { name: 'clock', output: expect.stringContaining('unix_seconds') as unknown } },
        ],
      },
      { type: 'message_creation' },
    ]);
  });

  test.each(['no', '{"approve": false}'])('does not call what was answered with %s', async (output) => {
    asksForTheTime();
    const run = await begun();
    const done = await answered(run, { [asked(run)[0]?.id ?? '']: output });
    expect(done.status).toBe('completed');
    expect(JSON.stringify(await said(run))).toContain('the user has denied it');
  });

  test('waits for a decision, whatever else it is sent', async () => {
    asksForTheTime();
    const run = await begun();
    const [call] = asked(run);
    await expect(answered(run, { [call?.id ?? '']: 'It is noon.' })).rejects.toMatchObject({
      status: 400,
      param: 'tool_outputs[0].output',
    });
    expect(await client.beta.threads.runs.retrieve(run.id, { thread_id: run.thread_id })).toMatchObject({
      status: 'requires_action',
    });
  });

  test('asks beside the calls that its client makes', async () => {
    asksForTheTime('calendar');
    const run = await begun('true');
    const outputs = Object.fromEntries(
      asked(run).map((call) => [call.id, 'requires_approval' in call ? 'yes' : 'Monday']),
    );
    expect(Object.values(outputs)).toEqual(['yes', 'Monday']);
    const seen: unknown[] = [];
    upstream.reply(({ body }) => {
      seen.push(
        body.messages
          .slice(1)
          .map(({ role, tool_calls: made }) => [role, Array.isArray(made) ? made.length : undefined]),
      );
      return says('done');
    });
    expect(await answered(run, outputs)).toMatchObject({ status: 'completed' });
    // What was approved was made afterwards.
    expect(seen).toEqual([
      [
        ['assistant', 1],
        ['tool', undefined],
        ['assistant', 1],
        ['tool', undefined],
      ],
    ]);
  });

  test('that loses its worker while it waits is approved all the same', async () => {
    asksForTheTime();
    const run = await begun();
    await service.killWorker(0);
    await service.startWorker();
    expect(await answered(run, { [asked(run)[0]?.id ?? '']: 'approve' })).toMatchObject({
      status: 'completed',
    });
  });

  test('is asked for again as a response, and the other way round', async () => {
    asksForTheTime();
    const run = await begun();
    const shown = await wire.ask('GET', `/responses/${run.id}`);
    expect(shown).toMatchObject({
      status: 200,
      body: { output: [{ type: 'mcp_approval_request', server_label: 'longrun', name: 'clock' }] },
    });
    await client.beta.threads.runs.cancel(run.id, { thread_id: run.thread_id });
  });
});

test('a chat is not offered what it cannot approve', async () => {
  const { name } = await client.beta.assistants.create({
    model: 'm',
    name: 'careful',
    metadata: { auto_tools: 'clock,SEARCH', approve: 'clock' },
  });
  const offered: unknown[] = [];
  upstream.reply(({ body }) => {
    offered.push(JSON.stringify(body.tools));
    return says('x');
  });
  await client.chat.completions.create({ model: name ?? '', messages: [{ role: 'user', content: 'time?' }] });
  expect(offered).toEqual([expect.not.stringContaining('clock')]);
});

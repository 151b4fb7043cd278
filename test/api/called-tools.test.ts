/**
 * Calls as models make them: under names with a namespace or of tools that nobody has, with ids that begin anew with each
 * completion, and with words before them; over every way that leads to them.
 */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { answerOf, asking, hear, post } from '../support/chat.ts';
import { says, type Script, type Step } from '../support/upstream.ts';
import { outputsOf, runIn, textOf, type WireRun } from '../support/wire.ts';
import { withSharedService } from '../support/shared-service.ts';

// Tools' processes come up in a fifth of a second, on a loaded machine in half a minute.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const { upstream, service, wire } = withSharedService();

const tool = (name: string) => ({
  type: 'function' as const,
  function: { name, parameters: { type: 'object', properties: {} } },
});
const chunk = (delta: object, finish: string | null = null): Step => ({ type: 'chunk', delta, finish });

/** Calls with ids that begin with `call_0` each time. */
const calls = (...names: readonly string[]): Script => [
  ...names.map((name, index) =>
    chunk({
      tool_calls: [{ index, id: `call_${index}`, type: 'function', function: { name, arguments: '{}' } }],
    }),
  ),
  chunk({}, 'tool_calls'),
];

const callSchema = z.looseObject({ id: z.string(), function: z.looseObject({ name: z.string() }) });
const callsSchema = z.array(callSchema);
const lastAsked = () => upstream.requests.at(-1)?.body.messages ?? [];
const rolesAsked = (): readonly string[] =>
  lastAsked().map(({ role, tool_calls }) => (tool_calls === undefined ? role : `${role}(calls)`));

async function assistant(tools: readonly string[], own: readonly string[] = []): Promise<string> {
  const metadata = own.length === 0 ? {} : { auto_tools: own.join(',') };
  return (await wire.ok('POST', '/assistants', { model: 'm', tools: tools.map(tool), metadata })).id;
}

/** Begins a run, polled or streamed, and waits until it rests. */
async function rested(thread: string, assistant_id: string, stream: boolean): Promise<WireRun> {
  if (!stream) return wire.play(thread, { assistant_id });
  const body = { assistant_id, stream };
  const frames = await (await wire.stream('POST', `/threads/${thread}/runs`, { body })).rest();
  return runIn(frames.at(-2));
}

/** The calls of a chat’s answer, and its text. */
async function chat(body: object, stream: boolean) {
  const response = await post(`${service.baseUrl}/chat/completions`, { ...body, stream });
  if (stream) {
    const { chunks, text } = await hear(response);
    return {
      text,
      calls: callsSchema.parse(chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? [])),
    };
  }
  const message = (await answerOf(response)).choices[0]?.message;
  return { text: message?.content ?? '', calls: callsSchema.parse(message?.tool_calls ?? []) };
}

const waiting = (run: WireRun) => run.required_action?.submit_tool_outputs.tool_calls ?? [];
const namesOf = (made: readonly { readonly function: { readonly name: string } }[]) =>
  made.map(({ function: { name } }) => name);

describe.each([true, false])('streamed: %s', (stream) => {
  describe('a name with a namespace', () => {
    beforeEach(() =>
      upstream.reply(({ outputs }) =>
        outputs.length === 0 ? calls('functions.get_weather', 'mcp__x__clock') : says(outputs.join(' and ')),
      ),
    );

    test('is that of the tool, the client’s and the server’s', async () => {
      const thread = await wire.thread('Weather?');
      const run = await rested(thread, await assistant(['get_weather', 'clock'], ['clock']), stream);
      expect(namesOf(waiting(run))).toEqual(['get_weather']);
      await wire.rested(await wire.submit(run, 'sunny'));
      const [, turn] = lastAsked().slice(-4);
      expect(namesOf(callsSchema.parse(turn?.['tool_calls']))).toEqual(['get_weather', 'clock']);
      expect(textOf((await wire.list(`/threads/${thread}/messages`))[0])).toMatch(/^sunny and \{"/);
    });

    test('is that of the tool in a chat', async () => {
      const body = asking('Weather?', { tools: [tool('get_weather'), tool('clock')] });
      expect(namesOf((await chat(body, stream)).calls)).toEqual(['get_weather', 'clock']);
    });
  });

  describe('a tool that nobody has', () => {
    test('is answered with those there are, beside one that the client answers', async () => {
      upstream.reply(({ outputs }) => (outputs.length === 0 ? calls('find', 'weather') : says('Then so.')));
      const run = await rested(await wire.thread('Hi'), await assistant(['weather']), stream);
      expect(namesOf(waiting(run))).toEqual(['weather']);
      const ended = await wire.rested(await wire.submit(run, 'sunny'));
      expect(ended.status).toBe('completed');
      const outputs = lastAsked()
        .slice(-2)
        .map(({ content }) => JSON.stringify(content));
      expect(outputs[0]).toContain("There is no tool 'find'. There are: 'weather'.");
      expect(outputs[1]).toBe('"sunny"');
    });

    test('beside one of the client is not shown to a chat', async () => {
      upstream.reply(() => calls('find', 'weather'));
      const { calls: shown } = await chat(asking('Hi', { tools: [tool('weather')] }), stream);
      expect(namesOf(shown)).toEqual(['weather']);
    });

    test('again and again ends after as many passes as tools have, with a reason', async () => {
      const before = upstream.requests.length;
      upstream.reply(() => calls('find'));
      const run = await rested(await wire.thread('Hi'), await assistant(['weather']), stream);
      expect(run).toMatchObject({ status: 'failed', last_error: { code: 'server_error' } });
      expect(run.last_error?.message).toContain("called the tool 'find' after 8 rounds");
      expect(upstream.requests.length - before).toBe(9);
      const response = await post(
        `${service.baseUrl}/chat/completions`,
        asking('Hi', { tools: [tool('weather')], stream }),
      );
      expect(await response.text()).toContain("called the tool 'find' after 8 rounds");
      expect(upstream.requests.length - before).toBe(18);
    });
  });

  describe('ids that begin anew with each completion', () => {
    test('are different for the client, and a late answer to the first call answers no other', async () => {
      upstream.reply(({ outputs }) => (outputs.length < 2 ? calls('weather') : says(outputs.join(' and '))));
      const thread = await wire.thread('Hi');
      const first = await rested(thread, await assistant(['weather']), stream);
      const old = outputsOf(first, 'of the first');
      const second = await wire.rested(await wire.submit(first, 'of the first'));
      const [one, two] = [...waiting(first), ...waiting(second)].map(({ id }) => id);
      expect(one).toBe('call_0');
      expect(two).not.toBe(one);
      const path = `/threads/${thread}/runs/${first.id}/submit_tool_outputs`;
      // A repetition is recognised or refused; it never answers the second call.
      await wire.ask('POST', path, { body: { tool_outputs: old } });
      await wire.ask('POST', path, {
        body: { tool_outputs: old.map((output) => ({ ...output, output: 'late' })) },
      });
      expect(waiting(await wire.rested(first)).map(({ id }) => id)).toEqual([two]);
      await wire.rested(await wire.submit(second, 'of the second'));
      expect(textOf((await wire.list(`/threads/${thread}/messages`))[0])).toBe(
        'of the first and of the second',
      );
      // A later run of the thread knows them too.
      await wire.ok('POST', `/threads/${thread}/messages`, { role: 'user', content: 'Again' });
      const later = await rested(thread, await assistant(['weather']), stream);
      expect([one, two]).not.toContain(waiting(later)[0]?.id);
    });

    test('are different in the server’s own loop and for a chat that sends its history', async () => {
      upstream.reply(({ outputs }) => (outputs.length < 2 ? calls('clock') : says('Late.')));
      await rested(await wire.thread('Hi'), await assistant(['clock'], ['clock']), stream);
      const ids = lastAsked().flatMap(({ tool_call_id }) =>
        tool_call_id === undefined ? [] : [tool_call_id],
      );
      expect(new Set(ids).size).toBe(2);

      const question = { role: 'user', content: 'Hi' };
      const asked = { model: 'm', tools: [tool('clock')] };
      const [first] = (await chat({ ...asked, messages: [question] }, stream)).calls;
      const answer = { role: 'tool', tool_call_id: first?.id, content: 'late' };
      const messages = [question, { role: 'assistant', content: null, tool_calls: [first] }, answer];
      const [second] = (await chat({ ...asked, messages }, stream)).calls;
      expect(first?.id).toBe('call_0');
      expect(second?.id).not.toBe('call_0');
    });
  });

  test('words and calls of one completion are one message, in the loop and in later runs', async () => {
    upstream.reply(({ outputs, text }) => {
      if (outputs.length === 2 || text === 'Again') return says('Late.');
      return [chunk({ content: 'Let me look.' }), ...calls('clock')];
    });
    const thread = await wire.thread('Time?');
    const assistant_id = await assistant(['clock'], ['clock']);
    await rested(thread, assistant_id, stream);
    const turns = ['user', 'assistant(calls)', 'tool', 'assistant(calls)', 'tool'];
    expect(rolesAsked()).toEqual(turns);
    expect(lastAsked()[3]).toMatchObject({ content: 'Let me look.' });
    await wire.ok('POST', `/threads/${thread}/messages`, { role: 'user', content: 'Again' });
    await rested(thread, assistant_id, stream);
    expect(rolesAsked()).toEqual([...turns, 'assistant', 'user']);
    const body = { model: assistant_id, messages: [{ role: 'user', content: 'Time?' }] };
    expect((await chat(body, stream)).text).toContain('Late.');
    expect(rolesAsked()).toEqual(turns);
  });
});

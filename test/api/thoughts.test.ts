/**
 * What reasoning models think: chat clients are shown it and may send it back, the model's server gets it back beside its
 * calls, under the name it gave it, and the Assistants wire never shows it.
 */
import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { answerOf, asking, hear, post } from '../support/chat.ts';
import { calls, says, type Script, type Step } from '../support/upstream.ts';
import { outputsOf } from '../support/wire.ts';
import { withSharedService } from '../support/shared-service.ts';

// Tools' processes come up in a fifth of a second, on a loaded machine in half a minute.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const tool = (name: string) => ({
  type: 'function' as const,
  function: { name, parameters: { type: 'object', properties: {} } },
});

const { upstream, service, wire } = withSharedService();

const last = () => upstream.requests.at(-1)?.body.messages ?? [];
/** What the model is told of its own turns: their thoughts by field, and whether they called. */
const told = (): readonly object[] =>
  last()
    .filter(({ role }) => role === 'assistant')
    .map(({ reasoning_content, reasoning, tool_calls }) => ({
      ...(reasoning_content !== undefined && { reasoning_content }),
      ...(reasoning !== undefined && { reasoning }),
      calls: Array.isArray(tool_calls),
    }));

const callSchema = z.looseObject({ id: z.string() });
const CLOCK = calls([{ name: 'clock', arguments: {} }]);
const WEATHER = calls([{ name: 'weather', arguments: {} }]);

describe.each(['reasoning_content', 'reasoning'] as const)('a server that thinks in %s', (field) => {
  const thinks = (...texts: readonly string[]): Script =>
    texts.map((text): Step => ({ type: 'chunk', delta: { [field]: text }, finish: null }));

  // It looks at the clock, which the worker answers, then at the weather, which the client answers, and then says it.
  beforeEach(() =>
    upstream.reply(({ outputs }) => {
      if (outputs.length === 0) return [...thinks('The ', 'clock 🕰. '), ...CLOCK];
      if (outputs.length === 1) return [...thinks('The weather. '), ...WEATHER];
      return [...thinks('Now I know.'), ...says('Late and sunny.')];
    }),
  );
  const FIRST = { [field]: 'The clock 🕰. ', calls: true };
  const SECOND = { [field]: 'The weather. ', calls: true };

  /** Shows A-MAP-19. */
  test.each([true, false])('gets it back through two turns of an assistant (stream: %s)', async (stream) => {
    const body = { model: 'm', tools: [tool('clock'), tool('weather')] };
    const { id: assistant_id } = await wire.ok('POST', '/assistants', body);
    const thread = await wire.thread('Time and weather?');
    const run = await wire.play(thread, { assistant_id, metadata: { auto_tools: 'clock' } });
    expect(run.status).toBe('requires_action');
    expect(told()).toEqual([FIRST]);
    const path = `/threads/${thread}/runs/${run.id}`;
    const outputs = { tool_outputs: outputsOf(run, 'sunny'), stream };
    const shown = [await wire.get(run), await wire.list(`${path}/steps`)] as unknown[];
    if (stream)
      shown.push(await (await wire.stream('POST', `${path}/submit_tool_outputs`, { body: outputs })).rest());
    else shown.push(await wire.rested(await wire.submit(run, 'sunny')));
    expect(await wire.get(run)).toMatchObject({ status: 'completed' });
    expect(told()).toEqual([FIRST, SECOND]);
    // Neither objects nor streams know the word.
    shown.push(await wire.list(`${path}/steps`), await wire.list(`/threads/${thread}/messages`));
    shown.push(await (await wire.stream('GET', `${path}/events`)).rest());
    const all = JSON.stringify(shown);
    expect(all).toContain('Late and sunny.');
    expect(all).not.toMatch(/The clock|The weather|Now I know|"reasoning"|reasoning_content|thought/);
  });

  test('gets back what it thought before calls of an earlier run, and no other model does', async () => {
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm', tools: [tool('clock')] });
    const thread = await wire.thread('What time is it?');
    upstream.reply(({ outputs }) => [...thinks('Hm. '), ...(outputs.length === 0 ? CLOCK : says('Late.'))]);
    const asked = { assistant_id, metadata: { auto_tools: 'clock' } };
    await wire.play(thread, asked);
    expect(told()).toEqual([{ [field]: 'Hm. ', calls: true }]);
    await wire.ok('POST', `/threads/${thread}/messages`, { role: 'user', content: 'And now?' });
    upstream.reply(() => says('Later.'));
    await wire.play(thread, asked);
    const thought = { [field]: 'Hm. ', calls: true };
    expect(told()).toEqual([thought, { calls: false }]);
    await wire.ok('POST', `/threads/${thread}/messages`, {
      role: 'user',
      content: 'And what do others say?',
    });
    await wire.play(thread, { ...asked, model: 'another' });
    expect(told()).toEqual([{ calls: true }, { calls: false }, { calls: false }]);
  });

  describe('is heard by a chat', () => {
    let model = '';
    beforeAll(async () => {
      const body = { model: 'm', tools: [tool('clock')], metadata: { auto_tools: 'clock' } };
      model = (await wire.ok('POST', '/assistants', body)).id;
    });
    const chat = async (body: object): Promise<Response> => post(`${service.baseUrl}/chat/completions`, body);

    test('that streams, in deltas of its own before the calls and the words', async () => {
      const thread_id = `thinking-${field}`;
      const asked = { model, tools: [tool('weather')], thread_id, stream: true };
      const first = await hear(await chat({ ...asking('Time and weather?'), ...asked }));
      const deltas = first.chunks.map(({ choices }) => choices[0]?.delta);
      const thoughts = deltas.filter((delta) => delta !== undefined && 'reasoning_content' in delta);
      expect(thoughts.map((delta) => delta?.['reasoning_content']).join('')).toBe(
        'The clock 🕰. The weather. ',
      );
      expect(thoughts.every((delta) => delta?.content === undefined)).toBe(true);
      expect(deltas[0]?.['role']).toBe('assistant');
      expect(thoughts[0]).toBe(deltas[0]);
      const [call] = deltas.flatMap((delta) => z.array(callSchema).parse(delta?.tool_calls ?? []));
      expect(told()).toEqual([FIRST]);

      const messages = [{ role: 'tool', tool_call_id: call?.id, content: 'sunny' }];
      const second = await hear(await chat({ ...asked, messages }));
      expect(second.text).toBe('Late and sunny.');
      expect(second.chunks[0]?.choices[0]?.delta).toMatchObject({ reasoning_content: 'Now I know.' });
      expect(told()).toEqual([FIRST, SECOND]);
    });

    test('that does not, in its message, and comes back with it', async () => {
      const asked = { model, tools: [tool('weather')] };
      const question = { role: 'user', content: 'Time and weather?' };
      const first = await answerOf(await chat({ ...asked, messages: [question] }));
      const message = first.choices[0]?.message;
      expect(message).toMatchObject({ content: null, reasoning_content: 'The clock 🕰. The weather. ' });
      const [call] = message?.tool_calls ?? [];

      // The second look is what the client has to answer; the worker’s own calls stay with the server.
      upstream.reply(() => [...thinks('Now I know.'), ...says('Sunny.')]);
      const answer = { role: 'tool', tool_call_id: call?.id, content: 'sunny' };
      const second = await answerOf(await chat({ ...asked, messages: [question, message, answer] }));
      expect(second.choices[0]?.message).toMatchObject({
        content: 'Sunny.',
        reasoning_content: 'Now I know.',
      });
      // The server gets the name that it gave them, whatever else the client was shown.
      expect(told()).toEqual([{ [field]: 'The clock 🕰. The weather. ', calls: true }]);
      for (const name of ['reasoning', 'reasoning_content']) {
        const sent = {
          role: 'assistant',
          content: null,
          tool_calls: message?.tool_calls,
          [name]: 'Of mine.',
        };
        await answerOf(await chat({ ...asked, messages: [question, sent, answer] }));
        expect(told()).toEqual([{ [name]: 'Of mine.', calls: true }]);
      }
    });

    test('but not by voices and glasses, which would speak it', async () => {
      upstream.reply(() => [...thinks('Hm. '), ...says('Sunny.')]);
      const address = `${service.url}/custom_agent/chat?device=thinking-${field}`;
      const heard = await hear(await post(address, asking('Weather?', { model: '<yuntianshiren>' })));
      expect(heard.text).toBe('Sunny.');
      expect(JSON.stringify(heard.chunks)).not.toContain('Hm. ');
    });
  });

  test('is asked again when it breaks off in thought, and the first thoughts are forgotten', async () => {
    let tries = 0;
    upstream.reply(({ outputs }) => {
      if (outputs.length > 0) return says('Late.');
      tries += 1;
      return tries === 1 ? [...thinks('Astray. '), { type: 'break' }] : [...thinks('The clock. '), ...CLOCK];
    });
    const asked = { model: 'm', tools: [tool('clock')], metadata: { auto_tools: 'clock' } };
    const { id: model } = await wire.ok('POST', '/assistants', asked);
    const answer = await answerOf(
      await post(`${service.baseUrl}/chat/completions`, asking('Time?', { model })),
    );
    expect(answer.choices[0]?.message).toMatchObject({ content: 'Late.', reasoning_content: 'The clock. ' });
    expect(told()).toEqual([{ [field]: 'The clock. ', calls: true }]);
  });
});

test('what a client says it thought goes to the server under the name it has, beside calls only', async () => {
  upstream.reply(() => says('Sunny.'));
  const call = { id: 'c1', type: 'function', function: { name: 'weather', arguments: '{}' } };
  const messages = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello.', reasoning_content: 'A greeting.' },
    { role: 'user', content: 'Weather?' },
    { role: 'assistant', content: null, tool_calls: [call], reasoning: 'The weather.' },
    { role: 'tool', tool_call_id: 'c1', content: 'sunny' },
  ];
  const body = { model: 'm', tools: [tool('weather')], messages };
  await answerOf(await post(`${service.baseUrl}/chat/completions`, body));
  expect(told()).toEqual([{ calls: false }, { reasoning: 'The weather.', calls: true }]);
});

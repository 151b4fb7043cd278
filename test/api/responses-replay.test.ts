/** A response is streamed again once its log is gone: in short form, and never from a number on. */
import OpenAI from 'openai';
import { expect, test, vi } from 'vitest';
import { calls, says } from '../support/upstream.ts';
import { withSharedService } from '../support/shared-service.ts';

const { upstream, service, wire } = withSharedService({ LOG_KEPT_S: '1' });

test('an old response is told in few frames, and not from a number on', async () => {
  const client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
  upstream.reply((request) =>
    request.text === 'look'
      ? calls([{ name: 'look_up', arguments: { a: 1 } }])
      : says('Once ', 'upon ', 'a time.'),
  );
  const tools = [{ type: 'function', name: 'look_up', parameters: {}, strict: false }] as const;
  const said = await client.responses.create({ model: 'm', input: 'a story' });
  const called = await client.responses.create({ model: 'm', input: 'look', tools: [...tools] });
  for (const { id, output } of [said, called]) {
    await vi.waitFor(async () => {
      const reply = await wire.ask('GET', `/responses/${id}?stream=true&starting_after=2`);
      expect(reply).toMatchObject({ status: 400, body: { error: { code: 'response_too_old' } } });
    }, 20_000);
    const stream = client.responses.stream({ response_id: id });
    const numbers: number[] = [];
    for await (const event of stream) numbers.push(event.sequence_number);
    expect(numbers).toEqual(numbers.map((_, at) => at));
    expect((await stream.finalResponse()).output).toMatchObject(output);
  }
});

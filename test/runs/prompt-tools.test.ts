/** What the model is asked about tools: pictures in what they answered, and what it thought before it called them. */
import { describe, expect, test } from 'vitest';
import type { Asides } from '../../src/runs/asides.ts';
import type { ChatMessage } from '../../src/runs/model.ts';
import { buildPrompt } from '../../src/runs/prompt.ts';
import type { RunStep, ThreadItem } from '../../src/runs/thread.ts';
import { thinker } from '../../src/runs/thoughts.ts';
import {
  EARLIER,
  OWN,
  ROOMY,
  SEARCH,
  ask,
  assistant,
  build,
  messageStep,
  messagesOf,
  toolStep,
  turn,
  user,
} from './prompts.ts';

describe('pictures in the outputs of tools', () => {
  const url = 'https://example.test/chart.png';
  const seen = { type: 'image_url', image_url: { url, detail: 'auto' } };

  test('follow the answers of all calls, whatever the tool is', () => {
    const words = [{ type: 'text', text: 'Sales' }, seen];
    const step = toolStep([
      JSON.stringify({ image_url: url, text: 'This one.' }),
      'sunny',
      JSON.stringify(words),
    ]);
    expect(messagesOf([user('a'), step]).slice(2)).toMatchObject([
      { role: 'tool', content: 'The picture follows.' },
      { role: 'tool', content: 'sunny' },
      { role: 'tool', content: 'Sales\nThe picture follows.' },
      { role: 'user', content: [{ type: 'text', text: 'This one.' }, seen] },
      { role: 'user', content: [seen] },
    ]);
  });

  test('of a request are shown as well, but not in what no call asked for', () => {
    const call = { id: 'c1', type: 'function', function: { name: 'draw', arguments: '{}' } } as const;
    const output = { role: 'tool', tool_call_id: 'c1', content: JSON.stringify({ image_url: url }) } as const;
    const input: readonly ChatMessage[] = [
      { role: 'user', content: 'Draw.' },
      { role: 'assistant', content: null, tool_calls: [call] },
      output,
    ];
    const options = { contextTokens: ROOMY, first: true, last: false };
    const asked = (messages: readonly ChatMessage[]) =>
      buildPrompt(turn(), { input: messages, items: [] }, options);
    expect(asked(input)).toMatchObject({
      request: { messages: [{}, {}, { role: 'tool' }, { content: [seen] }] },
    });
    expect(asked([{ role: 'user', content: 'Hi' }, output])).toMatchObject({
      request: { messages: [{}, output] },
    });
  });

  test('tools that are there to get one are offered until there is one', () => {
    const offered = (items: readonly ThreadItem[], until?: readonly string[]): readonly unknown[] => {
      const { origin, ...rest } = turn({ tools: [SEARCH] });
      const more = until && { offered_until_picture: until };
      return ask({ ...rest, origin: { ...origin, ...more } }, items).tools;
    };
    const shown = [user('a'), toolStep([JSON.stringify({ image_url: url })], OWN)];
    expect(offered(shown, ['SEARCH'])).toStrictEqual([]);
    expect(offered([user('a')], ['SEARCH'])).toStrictEqual([SEARCH]);
    expect(offered([...shown, user('b')], ['SEARCH'])).toStrictEqual([SEARCH]);
    expect(offered(shown, ['draw'])).toStrictEqual([SEARCH]);
    expect(offered(shown)).toStrictEqual([SEARCH]);
  });
});

describe('thoughts before calls', () => {
  const thoughts = (step: RunStep, by?: string) =>
    new Map([[step.id, [{ field: 'reasoning', text: 'x'.repeat(325), ...(by && { by }) } as const]]]);
  const asked = (items: readonly ThreadItem[], step: RunStep, by?: string) =>
    buildPrompt(
      turn(),
      { input: [], items, thoughts: thoughts(step, by) },
      { contextTokens: ROOMY, first: true, last: false },
    );

  test('go back with them, beside the words of the same completion, and count', () => {
    const step = toolStep(['1'], OWN);
    const prompt = asked([user('a'), assistant('Wait.', OWN), step], step);
    const bare = build(turn(), [user('a'), assistant('Wait.', OWN), step], ROOMY);
    if (prompt.type !== 'ask' || bare.type !== 'ask') throw new Error('not asked');
    expect(prompt.request.messages[1]).toMatchObject({
      content: 'Wait.',
      reasoning: 'x'.repeat(325),
      tool_calls: [{}],
    });
    expect(prompt.estimatedTokens - bare.estimatedTokens).toBe(100);
  });

  test('of another run do where it asked the same model at the same server', () => {
    const { run, origin } = turn();
    const step = toolStep(['1'], EARLIER);
    const goBack = (by?: string): boolean =>
      JSON.stringify(asked([user('a'), step], step, by)).includes('reasoning"');
    expect(goBack(thinker(run.model, origin.backend_id))).toBe(true);
    expect(goBack(thinker('another', origin.backend_id))).toBe(false);
    expect(goBack(thinker(run.model, 'elsewhere'))).toBe(false);
    // Kept by an older version.
    expect(goBack()).toBe(false);
  });
});

describe('what a server said beside calls', () => {
  const asides: Asides = {
    message: { reasoning_details: [{ data: 'x' }], role: 'intruder', content: 'intruder' },
    calls: { 1: { extra_content: 'sig', id: 'intruder', function: { hint: 'h', name: 'intruder' } } },
  };
  const asked = (step: RunStep, by: string): unknown => {
    const history = { input: [], items: [user('a'), step], asides: new Map([[step.id, { ...asides, by }]]) };
    const prompt = buildPrompt(turn(), history, { contextTokens: ROOMY, first: true, last: false });
    return prompt.type === 'ask' ? prompt.request.messages[1] : prompt;
  };

  test('goes back where it was, and replaces nothing', () => {
    const step = toolStep(['1', '2'], OWN);
    const { step_details: details } = step;
    const id = details.type === 'tool_calls' && details.tool_calls[1]?.id;
    const bare = messagesOf([user('a'), step])[1];
    expect(asked(step, 'anybody')).toEqual({
      ...bare,
      reasoning_details: [{ data: 'x' }],
      tool_calls: [
        expect.not.objectContaining({ extra_content: 'sig' }),
        {
          id,
          type: 'function',
          extra_content: 'sig',
          function: { name: 'SEARCH', arguments: '{"q":1}', hint: 'h' },
        },
      ],
    });
  });

  test('of another run does where it asked the same model at the same server', () => {
    const { run, origin } = turn();
    const step = toolStep(['1', '2'], EARLIER);
    const bare = messagesOf([user('a'), step])[1];
    expect(asked(step, thinker(run.model, origin.backend_id))).not.toEqual(bare);
    expect(asked(step, thinker('another', origin.backend_id))).toEqual(bare);
    expect(asked(step, thinker(run.model, 'elsewhere'))).toEqual(bare);
  });
});

test('a step of words between the words and the calls of one completion does not part them', () => {
  const items = [user('a'), assistant('Wait.', OWN), messageStep(OWN), toolStep(['1'], OWN)];
  expect(messagesOf(items)).toMatchObject([
    { role: 'user' },
    { role: 'assistant', content: 'Wait.', tool_calls: [{}] },
    { role: 'tool' },
  ]);
});

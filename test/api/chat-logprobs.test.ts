/** Logprobs: a chat client that asks for them gets what the model server says, with the words it is about. */
import OpenAI from 'openai';
import { beforeAll, describe, expect, test } from 'vitest';
import { answerOf, post } from '../support/chat.ts';
import { finish, says, type Script } from '../support/upstream.ts';
import { withSharedService } from '../support/shared-service.ts';

const { upstream, service } = withSharedService({ UPSTREAM_RETRIES: '0' });

let openai: OpenAI;
beforeAll(() => {
  openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any', maxRetries: 0 });
});

const chat = (body: unknown): Promise<Response> => post(`${service.baseUrl}/chat/completions`, body);
const sent = (): Readonly<Record<string, unknown>> => upstream.requests.at(-1)?.body ?? {};
const sentMessages = () => upstream.requests.at(-1)?.body.messages;

describe('logprobs', () => {
  const entry = (token: string) => ({
    token,
    logprob: -0.25,
    bytes: [...Buffer.from(token)],
    top_logprobs: [{ token, logprob: -0.25, bytes: null }],
  });
  /** A chunk as servers send it, with any fields of a choice. */
  const choice = (fields: object): Script[number] => ({
    type: 'line',
    line: `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: null, ...fields }] })}`,
  });
  const word = (token: string): Script[number] =>
    choice({ delta: { content: token }, logprobs: { content: [entry(token)], refusal: null } });
  const ANSWER: Script = [
    choice({ delta: { reasoning_content: 'Hm.' }, logprobs: { content: [entry('Hm.')] } }),
    word('Once'),
    word(' upon'),
    word(' a time'),
    choice({ delta: {}, logprobs: { content: [entry('.')] } }),
    choice({ delta: { content: '.' } }),
    finish('stop'),
  ];
  const TOKENS = ['Once', ' upon', ' a time', '.'].map(entry);
  const asked = { model: 'm', messages: [{ role: 'user' as const, content: 'a story' }] };
  const wanted = { ...asked, logprobs: true, top_logprobs: 1 };

  test('come with the words that they are about, and whole in an object', async () => {
    upstream.reply(() => ANSWER);
    const answer = await openai.chat.completions.create(wanted);
    expect(sent()).toMatchObject({ logprobs: true, top_logprobs: 1 });
    expect(answer.choices[0]?.message.content).toBe('Once upon a time.');
    expect(answer.choices[0]?.logprobs).toEqual({ content: TOKENS, refusal: null });

    const stream = await openai.chat.completions.create({ ...wanted, stream: true });
    const told = (await Array.fromAsync(stream)).map(({ choices }) => ({
      words: choices[0]?.delta.content ?? '',
      tokens: choices[0]?.logprobs?.content ?? null,
    }));
    const spoken = told.filter(({ words }) => words !== '');
    const joined = spoken.map(({ tokens }) => tokens?.map(({ token }) => token).join(''));
    expect(joined).toEqual(spoken.map(({ words }) => words));
    expect(told.every(({ words, tokens }) => (words === '') === (tokens === null))).toBe(true);
    const heard = told.flatMap(({ tokens }) => tokens ?? []);
    expect(heard).toEqual(TOKENS);
    const whole = await openai.chat.completions.stream(wanted).finalChatCompletion();
    expect(whole.choices[0]?.logprobs?.content).toEqual(TOKENS);
  });

  test('of refusals are kept apart, and words after which they come keep theirs', async () => {
    upstream.reply(() => [
      choice({ delta: { refusal: 'No.' }, logprobs: { content: null, refusal: [entry('No.')] } }),
      choice({ finish_reason: 'stop', logprobs: { content: [entry('end')] } }),
    ]);
    const answer = await openai.chat.completions.create(wanted);
    expect(answer.choices[0]?.logprobs).toEqual({ content: [entry('end')], refusal: [entry('No.')] });
  });

  test('that nobody asked for, or that no server sends, are null', async () => {
    upstream.reply(() => ANSWER);
    expect((await openai.chat.completions.create(asked)).choices[0]?.logprobs).toBeNull();
    upstream.reply(() => says('Once'));
    expect((await openai.chat.completions.create(wanted)).choices[0]?.logprobs).toBeNull();
  });

  test('of many tokens stay in order', async () => {
    const many = Array.from({ length: 400 }, (_, index) => `${index} `);
    upstream.reply(() => [...many.map(word), finish('stop')]);
    const answer = await openai.chat.completions.create(wanted);
    expect(answer.choices[0]?.logprobs?.content?.map(({ token }) => token)).toEqual(many);
  });

  test('may be asked for in a thread, whose messages do not show them', async () => {
    upstream.reply(() => ANSWER);
    const answer = await answerOf(await chat({ ...wanted, thread_id: 'likely' }));
    expect(answer.choices[0]).toMatchObject({ logprobs: { content: TOKENS } });
    upstream.reply(() => says('More.'));
    const next = { ...wanted, messages: [{ role: 'user', content: 'more' }], thread_id: 'likely' };
    await answerOf(await chat(next));
    expect(sentMessages()?.[1]).toMatchObject({ role: 'assistant', content: 'Once upon a time.' });
  });
});

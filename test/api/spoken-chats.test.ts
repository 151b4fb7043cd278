/** Answers with sound, as programs read them that were written for OpenAI's own: the official library, streams and whole. */
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { everythingIn } from '../devices/storage.ts';
import { answerOf, asking, hear, post, refusalOf } from '../support/chat.ts';
import { soundIn } from '../support/heard-sound.ts';
import { metricsOf } from '../support/metrics.ts';
import {
  lengthMs,
  loudness,
  play,
  RATE,
  refuse,
  SpeechServer,
  tone,
  TONE_HZ,
} from '../support/speech-server.ts';
import { calls, finish, gate, says, text } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

const STORY = 'Once upon a time there was a fox. It lived in a wood. One day it met a crow.';
const SENTENCES = ['Once upon a time there was a fox.', 'It lived in a wood.', 'One day it met a crow.'];
const AUDIO = {
  modalities: ['text' as const, 'audio' as const],
  audio: { voice: 'echo', format: 'pcm16' as const },
};

const speech = new SpeechServer();
beforeAll(() => speech.listen());
afterAll(() => speech.stop());

const { upstream, service } = withService(() => ({
  env: { SPEECH_BASE_URL: speech.baseUrl, SPEECH_API_KEY: 'speech-key', UPSTREAM_RETRIES: '0' },
}));

let openai: OpenAI;
beforeAll(() => {
  openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any', maxRetries: 0 });
});
beforeEach(() => speech.forget());

const chat = (more: object = {}, asked: Parameters<typeof post>[2] = {}): Promise<Response> =>
  post(`${service.baseUrl}/chat/completions`, asking('Tell me a story.', { ...AUDIO, ...more }), asked);
const streamed = (more: object = {}): Promise<Response> => chat({ stream: true, ...more });
const user = { role: 'user' as const, content: 'Tell me a story.' };

/** A story comes in fragments that end anywhere. */
const tells = (story = STORY): void => upstream.reply(() => says(...(story.match(/.{1,9}/gsu) ?? [])));

describe('a stream, by the official library', () => {
  test('has its role first, then each sentence as its words and its sound, and ends as every stream', async () => {
    tells();
    const stream = await openai.chat.completions.create({
      model: 'gpt-audio',
      messages: [user],
      ...AUDIO,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const heard = soundIn(chunks);
    expect(heard.transcript).toBe(STORY);
    expect(heard.order).toEqual([
      'role',
      ...SENTENCES.flatMap(() => ['transcript', 'data']),
      'expiry',
      'end',
    ]);
    expect(heard.ids).toEqual([expect.stringMatching(/^audio_/)]);
    expect(heard.pieces.every(({ length }) => length === 1_920)).toBe(true);
    expect(loudness(heard.sound, TONE_HZ, RATE)).toBeGreaterThan(0.9);
    expect(heard.sound.length / 48).toBeGreaterThanOrEqual(lengthMs(SENTENCES.join('')));
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop');
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 15 } });
  });

  test('adds up to a message with its sound', async () => {
    tells();
    const message = await openai.chat.completions
      .stream({ model: 'gpt-audio', messages: [user], ...AUDIO })
      .finalMessage();
    expect(message).toMatchObject({ role: 'assistant', content: null });
    expect(message).toHaveProperty('audio.transcript', STORY);
    expect(message).toHaveProperty('audio.id', expect.stringMatching(/^audio_/));
    expect(message).toHaveProperty('audio.expires_at', expect.any(Number));
  });

  test('asks the model for text, and the speech server for sound in the voice that was asked for', async () => {
    tells();
    await hear(await streamed());
    const { body } = upstream.requests.at(-1) ?? { body: {} };
    expect(body).not.toHaveProperty('modalities');
    expect(body).not.toHaveProperty('audio');
    expect(speech.texts).toEqual(SENTENCES);
    expect(speech.asked[0]?.body).toEqual({
      model: 'tts-1',
      input: SENTENCES[0],
      voice: 'echo',
      response_format: 'pcm',
    });
    expect(speech.asked[0]?.headers.authorization).toBe('Bearer speech-key');
  });

  test.each([
    ['none', undefined, 'alloy'],
    ['one of the caller’s own', { voice: { id: 'voice_1' } }, { id: 'voice_1' }],
  ])('with this voice: %s', async (_what, audio, voice) => {
    await hear(await streamed({ audio }));
    expect(speech.asked[0]?.body.voice).toEqual(voice);
  });

  test('at 16,000 samples a second, where the request says so', async () => {
    const heard = soundIn((await hear(await streamed({ audio: { sample_rate: 16_000 } }))).chunks);
    expect(heard.pieces.every(({ length }) => length === 1_280)).toBe(true);
    expect(loudness(heard.sound, TONE_HZ, 16_000)).toBeGreaterThan(0.8);
  });
});

describe('an answer that is whole', () => {
  test('has its sound and its words in the message, and no content', async () => {
    tells();
    const answer = await openai.chat.completions.create({ model: 'gpt-audio', messages: [user], ...AUDIO });
    const [choice] = answer.choices;
    expect(choice?.message).toMatchObject({ content: null, audio: { transcript: STORY } });
    expect(choice?.message.audio?.expires_at).toBe(answer.created);
    expect(choice?.finish_reason).toBe('stop');
    expect(answer.usage?.total_tokens).toBe(15);
    const sound = Buffer.from(choice?.message.audio?.data ?? '', 'base64');
    expect(loudness(sound, TONE_HZ, RATE)).toBeGreaterThan(0.9);
    expect(speech.texts).toEqual(SENTENCES);
    expect(speech.mostOpen).toBeLessThanOrEqual(2);
  });

  test('is a WAV file on request', async () => {
    const asked = {
      model: 'gpt-audio',
      messages: [user],
      ...AUDIO,
      audio: { voice: 'echo', format: 'wav' as const },
    };
    const answer = await openai.chat.completions.create(asked);
    const file = Buffer.from(answer.choices[0]?.message.audio?.data ?? '', 'base64');
    expect(file.toString('latin1', 0, 4)).toBe('RIFF');
    expect(file.readUInt32LE(24)).toBe(RATE);
    expect(loudness(file.subarray(44), TONE_HZ, RATE)).toBeGreaterThan(0.9);
  });

  test('is asked for as a whole in a format of the speech server', async () => {
    tells();
    speech.reply(({ body }, response) => response.end(`${body.response_format} of ${body.input}`));
    const asked = {
      model: 'gpt-audio',
      messages: [user],
      ...AUDIO,
      audio: { voice: 'echo', format: 'mp3' as const },
    };
    const answer = await openai.chat.completions.create(asked);
    const data = answer.choices[0]?.message.audio?.data ?? '';
    expect(Buffer.from(data, 'base64').toString()).toBe(`mp3 of ${STORY}`);
  });

  test('without a word has no sound', async () => {
    upstream.reply(() => says('…'));
    const answer = await answerOf(await chat());
    expect(answer.choices[0]?.message).toMatchObject({ content: '…' });
    expect(answer.choices[0]?.message).not.toHaveProperty('audio');
  });
});

describe('the speech server is asked', () => {
  test('for one sentence ahead of the one that plays, and for no more', async () => {
    tells('The first one. The second one. The third one. The fourth one. The fifth one.');
    const doors = [gate(), gate(), gate(), gate(), gate()];
    speech.reply(async (_asked, response) => {
      const door = doors[speech.asked.length - 1];
      await door?.opened;
      await play(response, tone(440, 80));
    });
    const answer = streamed().then(hear);
    for (const [index, door] of doors.entries()) {
      const most = Math.min(index + 2, doors.length);
      await speech.askedFor(most);
      // Whatever else would be asked for would have been asked for together with this.
      await metricsOf(service.url);
      expect(speech.asked).toHaveLength(most);
      door.open();
    }
    expect(soundIn((await answer).chunks).transcript).toMatch(/fifth one\.$/);
    expect(speech.mostOpen).toBe(2);
  });

  test('and whichever answers first, the order is that of the text', async () => {
    const numbers = Array.from({ length: 24 }, (_, index) => index + 1);
    upstream.reply(() => says(...numbers.map((number) => `This is sentence number ${number}. `)));
    // Each sentence is a level of its own, the later of two is often there first, and chunks are cut anywhere.
    speech.reply(async ({ body }, response) => {
      const number = Number(/\d+/.exec(body.input)?.[0]);
      const sound = Buffer.alloc(1_920 * (1 + (number % 3)));
      for (let at = 0; at < sound.length; at += 2) sound.writeInt16LE(number * 100, at);
      response.writeHead(200);
      const wait = async (turns: number): Promise<void> => {
        for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      };
      await wait((number * 7_919) % 97);
      response.write(sound.subarray(0, 333));
      await wait((number * 104_729) % 89);
      response.end(sound.subarray(333));
    });
    const { chunks } = await hear(await streamed());
    const { pieces } = soundIn(chunks);
    const levels = pieces.map((piece) => piece.readInt16LE(0) / 100);
    expect(levels.filter((level, index) => level !== levels[index - 1])).toEqual(numbers);
  });

  test('for a sentence behind which nothing comes, while a tool is at work for example', async () => {
    const door = gate();
    upstream.reply(() => [text('Let me look it up.'), door, ...says('It is late.')]);
    const answer = streamed().then(hear);
    await speech.askedFor(1);
    expect(speech.texts).toEqual(['Let me look it up.']);
    door.open();
    expect(soundIn((await answer).chunks).transcript).toBe('Let me look it up.It is late.');
  });

  test('again where it fails for a moment, and nobody notices', async () => {
    speech.reply(async (_asked, response) => {
      if (speech.asked.length === 1) refuse(response, 503, 'busy');
      else await play(response, tone(440, 80));
    });
    const heard = await hear(await streamed());
    expect(heard).toMatchObject({ finish: 'stop', error: null });
    expect(soundIn(heard.chunks).pieces).toHaveLength(2);
    expect(speech.asked).toHaveLength(2);
  });
});

describe('before anything is heard, a failure is an HTTP error', () => {
  test.each([true, false])('a server that does not speak, with stream: %s', async (stream) => {
    speech.reply((_asked, response) => refuse(response, 404, 'Not Found'));
    const refused = await refusalOf(await chat({ stream }));
    expect(refused).toMatchObject({ status: 400, param: 'modalities', code: 'speech_unavailable' });
    expect(refused.message).toMatch(/SPEECH_BASE_URL.*SPEECH_MODEL/);
  });

  test.each([true, false])('a voice that is unknown, with stream: %s', async (stream) => {
    speech.reply((_asked, response) => refuse(response, 400, "There is no voice 'nobody'.", 'voice'));
    const refused = await refusalOf(await chat({ stream }));
    expect(refused).toMatchObject({ status: 400, param: 'audio.voice' });
    expect(refused.message).toContain("There is no voice 'nobody'.");
  });

  test.each<[string, (response: Parameters<typeof play>[0]) => void, RegExp]>([
    ['fails twice', (response) => refuse(response, 500, 'out of memory'), /out of memory/],
    ['refuses its key', (response) => refuse(response, 401, 'who are you'), /key/],
    [
      'answers with JSON',
      (response) => void response.setHeader('content-type', 'application/json').end('{}'),
      /application\/json/,
    ],
    ['answers with a file', (response) => void response.end('RIFF....WAVE'), /WAV/],
    ['says nothing', (response) => void response.end(), /without a sound/],
    ['breaks off', (response) => void response.destroy(), /speech/],
  ])('a server that %s', async (_what, act, words) => {
    speech.reply((_asked, response) => act(response));
    for (const stream of [true, false]) {
      const refused = await refusalOf(await chat({ stream }));
      expect(refused).toMatchObject({ status: 502, type: 'server_error' });
      expect(refused.message).toMatch(words);
    }
  });

  test('the log and the metrics tell it, and no log tells what was said', async () => {
    speech.reply((_asked, response) => refuse(response, 404, 'Not Found'));
    const name = 'longrun_spoken_total{upstream="speech",status="404"}';
    const before = (await metricsOf(service.url)).get(name) ?? 0;
    await chat();
    expect((await metricsOf(service.url)).get(name)).toBe(before + 1);
    await service.waitForLog(({ msg }) => msg === 'an answer could not be spoken');
    expect(JSON.stringify(service.logs)).not.toContain('Tell me a story');
  });

  test('and the run behind it ends', async () => {
    upstream.reply(() => [text('The first one. And'), { type: 'stall' }]);
    speech.reply((_asked, response) => refuse(response, 404, 'Not Found'));
    expect((await streamed()).status).toBe(400);
    expect((await upstream.requests.at(-1)?.closed)?.by).toBe('client');
  });
});

describe('later', () => {
  test.each<[string, (response: Parameters<typeof play>[0]) => unknown]>([
    ['refuses', (response) => refuse(response, 400, 'no')],
    ['breaks off in the middle', (response) => response.write(tone(440, 60), () => response.destroy())],
  ])('when the server %s, the text goes on, and the stream ends in good order', async (_what, act) => {
    tells();
    speech.reply(async (_asked, response) => {
      if (speech.asked.length === 1) await play(response, tone(440, 80));
      else act(response);
    });
    const heard = await hear(await streamed({ stream_options: { include_usage: true } }));
    const { transcript, order, pieces } = soundIn(heard.chunks);
    expect(transcript).toBe(STORY);
    expect(heard).toMatchObject({ finish: 'stop', error: null });
    expect(order.slice(0, 3)).toEqual(['role', 'transcript', 'data']);
    expect(pieces.length).toBeLessThanOrEqual(4);
  });

  test('when the model breaks off, what it said is spoken, and the error follows', async () => {
    upstream.reply(() => [text('The first sentence. Then'), { type: 'break' }]);
    const heard = await hear(await streamed());
    expect(soundIn(heard.chunks).transcript).toBe('The first sentence. Then');
    expect(heard).toMatchObject({ error: { code: 'upstream_error' } });
  });
});

describe('a client that hangs up', () => {
  test('closes its requests to the speech server and to the model', async () => {
    upstream.reply(() => [text('The first one. The second one. The'), { type: 'stall' }]);
    speech.reply((_asked, response) => void response.write(tone(440, 200)));
    const hangUp = new AbortController();
    const response = await chat({ stream: true }, { signal: hangUp.signal });
    await response.body?.getReader().read();
    await speech.askedFor(2);
    hangUp.abort();
    for (const { closed } of speech.asked) expect(await closed).toBe('client');
    expect((await upstream.requests.at(-1)?.closed)?.by).toBe('client');
  });

  test('before a sound, and from an answer that is whole, as well', async () => {
    for (const stream of [true, false]) {
      speech.forget();
      speech.reply(() => {});
      const hangUp = new AbortController();
      const asked = chat({ stream }, { signal: hangUp.signal }).catch(() => null);
      await speech.askedFor(1);
      hangUp.abort();
      await asked;
      expect(await speech.asked[0]?.closed).toBe('client');
    }
  });
});

test('a process that is told to stop lets an answer be heard to its end', async () => {
  tells();
  const door = gate();
  speech.reply(async (_asked, response) => {
    response.writeHead(200).write(tone(TONE_HZ, 80));
    await door.opened;
    response.end();
  });
  const origin = await service.startApi(undefined, { DRAIN_MS: '60000' });
  const api = service.living.find(({ name }) => name === 'api 1');
  const response = await post(`${origin}/v1/chat/completions`, asking('hi', { ...AUDIO, stream: true }));
  const ended = api?.end('SIGTERM');
  await service.waitForLog((line) => line.process === 'api 1' && line.msg === 'stopping');
  door.open();
  const heard = await hear(response);
  expect(soundIn(heard.chunks).transcript).toBe(STORY);
  expect(heard).toMatchObject({ finish: 'stop', error: null });
  await ended;
});

describe('beside the sound all is as it was', () => {
  const lamp = {
    type: 'function',
    function: { name: 'lamp', parameters: { type: 'object', properties: {} } },
  };

  test('calls of the caller’s tools come without a sound', async () => {
    upstream.reply(() => calls([{ name: 'lamp', arguments: { on: true } }]));
    const heard = await hear(await streamed({ tools: [lamp] }));
    expect(heard).toMatchObject({ finish: 'tool_calls', error: null });
    expect(soundIn(heard.chunks)).toMatchObject({ order: ['role'], pieces: [] });
    expect(speech.asked).toEqual([]);
  });

  test('and behind words that are spoken', async () => {
    upstream.reply(() => [text('I turn it on.'), ...calls([{ name: 'lamp', arguments: { on: true } }])]);
    const heard = await hear(await streamed({ tools: [lamp] }));
    expect(soundIn(heard.chunks)).toMatchObject({ transcript: 'I turn it on.' });
    expect(heard.chunks.at(-1)?.choices[0]).toMatchObject({
      delta: { content: null },
      finish_reason: 'tool_calls',
    });
    const whole = await answerOf(await chat({ tools: [lamp] }));
    expect(whole.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { content: null, audio: { transcript: 'I turn it on.' }, tool_calls: [{}] },
    });
  });

  test('no sound lies in Redis, and a thread keeps the words', async () => {
    tells();
    const { chunks } = await hear(await streamed({ thread_id: 'spoken' }));
    const { pieces } = soundIn(chunks);
    const stored = await everythingIn(inject('redisUrl'), service.redisPrefix);
    expect(stored).toContain('It lived in a wood.');
    for (const piece of pieces.slice(0, 3)) {
      expect(stored).not.toContain(piece.toString('base64').slice(0, 64));
      expect(stored).not.toContain(piece.toString('latin1').slice(0, 64));
    }
    await hear(await streamed({ thread_id: 'spoken', messages: [{ role: 'user', content: 'And then?' }] }));
    expect(upstream.requests.at(-1)?.body.messages[1]).toEqual({ role: 'assistant', content: STORY });
  });

  test('an Idempotency-Key gets the same answer, spoken again', async () => {
    tells();
    const headers = { 'idempotency-key': 'a story, spoken' };
    const asked = upstream.requests.length;
    const first = soundIn((await hear(await chat({ stream: true }, { headers }))).chunks);
    const second = soundIn((await hear(await chat({ stream: true }, { headers }))).chunks);
    expect(upstream.requests).toHaveLength(asked + 1);
    expect(second.transcript).toBe(STORY);
    expect(second.sound).toEqual(first.sound);
  });

  test('thoughts are shown, and not spoken', async () => {
    upstream.reply(() => [
      { type: 'chunk', delta: { reasoning_content: 'A fox, perhaps.' }, finish: null },
      ...says('A fox came by.'),
    ]);
    const heard = await hear(await streamed());
    expect(soundIn(heard.chunks).order).toEqual(['role', 'transcript', 'data', 'expiry', 'end']);
    expect(heard.chunks[0]?.choices[0]?.delta).toMatchObject({ reasoning_content: 'A fox, perhaps.' });
    expect(speech.texts).toEqual(['A fox came by.']);
  });

  test('likelihoods come with the words they are about', async () => {
    const token = { token: 'Yes', logprob: -0.1, bytes: null, top_logprobs: [] };
    upstream.reply(() => [
      {
        type: 'line',
        line: `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'Yes' }, logprobs: { content: [token] }, finish_reason: null }] })}`,
      },
      finish('stop'),
    ]);
    const heard = await hear(await streamed({ logprobs: true }));
    const said = heard.chunks.flatMap(({ choices }) => choices).find(({ delta }) => 'audio' in delta);
    expect(said).toMatchObject({ delta: { audio: { transcript: 'Yes' } }, logprobs: { content: [token] } });
  });
});

describe('what cannot be meant is refused', () => {
  test.each(['wav', 'mp3', 'flac', 'opus', 'aac'])('%s in a stream', async (format) => {
    const refused = await refusalOf(await streamed({ audio: { voice: 'echo', format } }));
    expect(refused).toMatchObject({ status: 400, param: 'audio.format' });
    expect(refused.message).toContain('pcm16');
  });

  test.each([
    ['a format that is none', { format: 'noise' }, 'audio.format'],
    ['a rate that nobody plays', { sample_rate: 44_100 }, 'audio.sample_rate'],
    ['a voice that is a number', { voice: 1 }, 'audio.voice'],
  ])('%s', async (_what, audio, param) => {
    for (const stream of [true, false])
      expect(await refusalOf(await chat({ stream, audio }))).toMatchObject({ status: 400, param });
  });

  test('the sound of an earlier answer, which is not kept, but its transcript is', async () => {
    const ask = (audio: object): Promise<Response> =>
      chat({ messages: [user, { role: 'assistant', audio }, { role: 'user', content: 'And then?' }] });
    const refused = await refusalOf(await ask({ id: 'audio_1' }));
    expect(refused).toMatchObject({ status: 400, param: 'messages[1].audio', code: 'unsupported' });
    expect(refused.message).toContain('transcript');
    await answerOf(await ask({ id: 'audio_1', data: '', transcript: 'A fox came by.', expires_at: 1 }));
    expect(upstream.requests.at(-1)?.body.messages[1]).toEqual({
      role: 'assistant',
      content: 'A fox came by.',
    });
  });

  test('a sound for a thread, with what to do first', async () => {
    const part = { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } };
    const messages = [{ role: 'user', content: [part] }];
    const refused = await refusalOf(await chat({ messages, thread_id: 'ears' }));
    expect(refused).toMatchObject({ status: 400, param: 'messages' });
    expect(refused.message).toContain('/v1/audio/transcriptions');
    await answerOf(await chat({ messages }));
    expect(upstream.requests.at(-1)?.body.messages).toEqual(messages);
  });

  test('a sound for a response or a conversation, likewise', async () => {
    const part = { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } };
    const items = [{ role: 'user', content: [part] }];
    for (const [path, body, param] of [
      ['/responses', { model: 'm', input: items }, 'input[0].content'],
      ['/conversations', { items }, 'items[0].content'],
    ] as const) {
      const refused = await refusalOf(await post(service.baseUrl + path, body));
      expect(refused).toMatchObject({ status: 400, param, code: 'unsupported' });
      expect(refused.message).toContain('/v1/audio/transcriptions');
    }
  });
});

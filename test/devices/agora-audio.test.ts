/** Voice engines that play what they get: the engine's audio path, as its example server answers it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { hear, post, refusalOf } from '../support/chat.ts';
import { soundIn } from '../support/heard-sound.ts';
import { metricsOf } from '../support/metrics.ts';
import { startService, type Service } from '../support/service.ts';
import { loudness, play, refuse, SpeechServer, tone, TONE_HZ } from '../support/speech-server.ts';
import { FakeUpstream, gate, says, text } from '../support/upstream.ts';

const KEY = 'sk-of-the-caller';
const PIECE_BYTES = 1_280;
const FILLER = '请稍等一下。';
const APOLOGY = 'I am sorry, say it again.';
const TURN = { model: 'any', messages: [{ role: 'user', content: 'Hello, how are you?' }] };
const MEGABYTE = 1024 * 1024;

const folder = mkdtempSync(join(tmpdir(), 'longrun-agora-audio-'));
const upstream = new FakeUpstream();
const speech = new SpeechServer();
/** One of its model servers speaks. Never a filler. */
let service: Service;
/** The speech server is none of its model servers. A filler soon. */
let slow: Service;

beforeAll(async () => {
  await Promise.all([upstream.listen(), speech.listen()]);
  const config = join(folder, 'longrun.config.json');
  writeFileSync(
    config,
    JSON.stringify({ upstreams: [{ name: 'speaker', baseUrl: speech.baseUrl, models: ['tts-1'] }] }),
  );
  const env = {
    AUTH: 'passthrough',
    SECRET: 'a secret of the operator',
    UPSTREAM_RETRIES: '0',
    VOICE_APOLOGY: APOLOGY,
    FILLER_AFTER_MS: '60000',
  };
  const redisUrl = inject('redisUrl');
  [service, slow] = await Promise.all([
    startService({ redisUrl, upstream, env: { ...env, LONGRUN_CONFIG: config } }),
    startService({
      redisUrl,
      upstream,
      env: { ...env, SPEECH_BASE_URL: speech.baseUrl, FILLER_AFTER_MS: '50', FILLER_TEXT: FILLER },
    }),
  ]);
});
afterAll(async () => {
  await Promise.all([service?.stop(), slow?.stop()]);
  await Promise.all([upstream.stop(), speech.stop()]);
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  speech.forget();
  upstream.reply(() => says('I am fine. ', 'And how are ', 'you doing today?'));
});

const headers = { authorization: `Bearer ${KEY}` };
const engine = (more: object = {}, path = '/audio/chat/completions', at = service): Promise<Response> =>
  post(`${at.url}${path}`, { ...TURN, ...more }, { headers });

/** All that is heard of these, by the order of its chunks. */
const heardOf = async (response: Promise<Response>): Promise<ReturnType<typeof soundIn>> =>
  soundIn((await hear(await response)).chunks);

describe('the audio path', () => {
  test('answers with transcripts and pieces of 40 ms at 16,000 samples a second, under one id', async () => {
    const heard = await hear(await engine({ stream: true, modalities: ['text', 'audio'] }));
    const sound = soundIn(heard.chunks);
    expect(sound.transcript).toBe('I am fine. And how are you doing today?');
    expect(sound.ids).toHaveLength(1);
    expect(sound.order).toEqual(['role', 'transcript', 'data', 'transcript', 'data', 'end']);
    expect(new Set(sound.pieces.map(({ length }) => length))).toEqual(new Set([PIECE_BYTES]));
    expect(loudness(sound.sound, TONE_HZ, 16_000)).toBeGreaterThan(0.8);
    expect(heard).toMatchObject({ text: '', finish: 'stop', error: null });
  });

  test('streams and speaks where the request says neither, and does what it says', async () => {
    expect((await heardOf(engine())).pieces).not.toEqual([]);
    const written = await hear(await engine({ modalities: ['text'] }));
    expect(written.text).toBe('I am fine. And how are you doing today?');
    const whole: unknown = await (await engine({ stream: false })).json();
    expect(whole).toMatchObject({
      choices: [
        { message: { content: null, audio: { transcript: 'I am fine. And how are you doing today?' } } },
      ],
    });
  });

  test('is the engine’s other path as well, where the request asks for sound', async () => {
    const asked = engine({ modalities: ['text', 'audio'] }, '/chat/completions');
    expect((await heardOf(asked)).pieces[0]).toHaveLength(PIECE_BYTES);
    expect((await hear(await engine({}, '/chat/completions'))).text).toContain('I am fine.');
  });

  test('asks the model server that has the speech model, with the caller’s key', async () => {
    await hear(await engine());
    expect(speech.asked[0]?.headers.authorization).toBe(`Bearer ${KEY}`);
    const name = 'longrun_spoken_total{upstream="speaker",status="200"}';
    expect((await metricsOf(service.url)).get(name)).toBeGreaterThan(0);
  });

  test('but a server of SPEECH_BASE_URL never gets a caller’s key', async () => {
    await hear(await engine({}, '/audio/chat/completions', slow));
    expect(speech.asked.length).toBeGreaterThan(0);
    for (const asked of speech.asked) expect(asked.headers.authorization).toBeUndefined();
  });
});

describe('a slow model', () => {
  test('is covered by the filler, which is spoken, too', async () => {
    const slowly = gate();
    upstream.reply(() => [slowly, ...says('Here it is, then.')]);
    const asked = engine({}, '/audio/chat/completions', slow);
    await speech.askedFor(1);
    expect(speech.texts).toEqual([FILLER]);
    slowly.open();
    const heard = await heardOf(asked);
    expect(heard.transcript).toBe(`${FILLER}Here it is, then.`);
    expect(heard.order).toEqual(['role', 'transcript', 'data', 'transcript', 'data', 'end']);
  });
});

describe('an answer that fails', () => {
  test('is the apology, spoken, and then an error for engines that read it', async () => {
    upstream.reply(() => [text('Once upon a time. There'), { type: 'break' }]);
    const heard = await hear(await engine());
    expect(soundIn(heard.chunks).transcript).toBe(`Once upon a time. There${APOLOGY}`);
    expect(speech.texts.at(-1)).toBe(APOLOGY);
    expect(heard).toMatchObject({ finish: 'stop', error: { code: 'upstream_error' } });
  });

  test('as does one without a word', async () => {
    upstream.reply(() => says(' '));
    const heard = await hear(await engine());
    expect(soundIn(heard.chunks).transcript).toContain(APOLOGY);
    expect(speech.texts).toEqual([APOLOGY]);
  });

  test('for want of speech is an HTTP error, which says what to set', async () => {
    speech.reply((_asked, response) => refuse(response, 404, 'Not Found'));
    const refused = await refusalOf(await engine());
    expect(refused).toMatchObject({ status: 400, code: 'speech_unavailable' });
    expect(refused.message).toContain('SPEECH_BASE_URL');
  });
});

test('an engine that closes its connection ends the speech at once', async () => {
  upstream.reply(() => [text('Once upon a time. There was a fox. It'), { type: 'stall' }]);
  speech.reply((_asked, response) => void response.write(tone(440, 200)));
  const hangUp = new AbortController();
  const response = await post(`${service.url}/audio/chat/completions`, TURN, {
    headers,
    signal: hangUp.signal,
  });
  await response.body?.getReader().read();
  await speech.askedFor(2);
  hangUp.abort();
  for (const { closed } of speech.asked) expect(await closed).toBe('client');
  expect((await upstream.requests.at(-1)?.closed)?.by).toBe('client');
});

describe('two hundred sentences', () => {
  const SENTENCES = Array.from(
    { length: 200 },
    (_, index) => `This is the sentence with the number ${index + 1}. `,
  );
  const MS = 2_000;

  /** Asks and leaves the answer where it is, which fills every buffer on the way. */
  function open(): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const asking = request(`${service.url}/audio/chat/completions`, {
        method: 'POST',
        headers,
        agent: false,
      });
      asking.once('error', reject);
      asking.once('response', (response) => resolve(response.pause()));
      asking.end(JSON.stringify({ ...TURN, audio: { sample_rate: 24_000 } }));
    });
  }

  test('wait for a reader that does not read, as text, and arrive whole in the end', async () => {
    const sound = tone(440, MS);
    upstream.reply(() => says(...SENTENCES));
    speech.reply((_asked, response) => play(response, sound));
    const memory = async (): Promise<number> =>
      (await metricsOf(service.url)).get('longrun_memory_bytes') ?? NaN;
    const before = await memory();
    const reader = await open();
    let most = 0;
    for (let looks = 0; looks < 20; looks += 1) {
      await delay(50);
      most = Math.max(most, await memory());
    }
    // The rest of 19 MB, 26 MB as base64, has not been made.
    expect(speech.asked.length).toBeLessThan(150);
    expect(speech.mostOpen).toBeLessThanOrEqual(2);
    expect((most - before) / MEGABYTE).toBeLessThan(100);
    const frames = await textOf(reader);
    const pieces = [...frames.matchAll(/"data":"([^"]+)"/g)];
    expect(pieces).toHaveLength((SENTENCES.length * MS) / 40);
    expect(speech.texts).toEqual(SENTENCES.map((sentence) => sentence.trim()));
    expect(frames.endsWith('data: [DONE]\n\n')).toBe(true);
  });
});

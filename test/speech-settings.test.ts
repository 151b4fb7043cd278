/** The settings of answers with sound: which server speaks, with whose key, and what a log shows of that. */
import { expect, test } from 'vitest';
import { ConfigError, readConfig, redacted } from '../src/config.ts';

const NO_FILE = 'there-is-no-such-file.json';
const BASE = 'http://127.0.0.1:8880/v1';
const KEY = 'sk-very-secret';

function problems(env: Readonly<Record<string, string>>): readonly string[] {
  try {
    readConfig(env, NO_FILE);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

test('without any, a model server speaks, in OpenAI’s voice, at the rate of voice engines', () => {
  expect(readConfig({}, NO_FILE)).toMatchObject({
    speechUpstream: null,
    speechModel: 'tts-1',
    speechVoice: 'alloy',
    speechSampleRate: 16_000,
  });
});

test('the server of SPEECH_BASE_URL is asked as a model server is', () => {
  const env = { SPEECH_BASE_URL: BASE, SPEECH_API_KEY: KEY, SPEECH_SAMPLE_RATE: '24000' };
  const config = readConfig(env, NO_FILE);
  expect(config).toMatchObject({
    upstreams: [],
    speechUpstream: { name: 'speech', baseUrl: BASE, apiKey: KEY },
    speechSampleRate: 24_000,
  });
});

test('its key and a password in its address are in no log', () => {
  const env = { SPEECH_BASE_URL: `http://me:${KEY}@house/v1`, SPEECH_API_KEY: KEY };
  const logged = JSON.stringify(redacted(readConfig(env, NO_FILE)));
  expect(logged).not.toContain(KEY);
  expect(logged).toContain('house/v1');
});

test.each([
  [{ SPEECH_BASE_URL: 'ftp://house' }, 'SPEECH_BASE_URL'],
  [{ SPEECH_API_KEY: KEY }, 'SPEECH_API_KEY is set, but not SPEECH_BASE_URL'],
  [{ SPEECH_SAMPLE_RATE: '44100' }, 'SPEECH_SAMPLE_RATE: must be 16000 or 24000'],
  [{ SPEECH_SAMPLE_RATE: 'high' }, 'SPEECH_SAMPLE_RATE'],
])('%j is refused, with what to write', (env, line) => {
  expect(problems(env)).toStrictEqual([expect.stringContaining(line)]);
});

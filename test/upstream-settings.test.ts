/** `upstreams` of the config file: settings of servers and models, headers from the environment, families by address. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigError, readConfig, redacted } from '../src/config.ts';
import { PRESET_NAMES, PRESETS } from '../src/config/presets.ts';
import { upstreamSchema } from '../src/config/upstreams.ts';

const SECRET = 'sesame-open';
const baseUrl = 'http://127.0.0.1:8000/v1';
let folder: string;
let count = 0;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'longrun-test-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(upstream: object): string {
  const name = path.join(folder, `${(count += 1)}.json`);
  writeFileSync(name, JSON.stringify({ upstreams: [{ name: 'house', baseUrl, ...upstream }] }));
  return name;
}

const read = (upstream: object, env: Record<string, string> = {}) =>
  readConfig(env, file(upstream)).upstreams[0];

/** What is wrong, without the name of the file. */
function problems(upstream: object, env: Record<string, string> = {}): readonly string[] {
  try {
    readConfig(env, file(upstream));
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map((line) => line.replace(/^\/\S+: /, ''));
    throw error;
  }
}

describe('models', () => {
  test('are names, or names with settings', () => {
    const given = {
      contextTokens: 32_768,
      tools: true,
      images: false,
      omit: ['top_p'],
      extraBody: { top_k: 5 },
    };
    const house = read({ models: ['a', { name: 'qwen3:8b', ...given }], contextTokens: 4096, strict: false });
    expect(house).toMatchObject({ models: ['a', 'qwen3:8b'], contextTokens: 4096, strict: false });
    expect(house?.modelSettings).toEqual({ a: {}, 'qwen3:8b': given });
  });

  test('have prices of their own, or those of the upstream', () => {
    const [dear, usual] = [
      { input: 2.5, cachedInput: 1.25, output: 10 },
      { input: 1, output: 2 },
    ];
    const house = read({ models: ['a', { name: 'b', prices: dear }], prices: usual });
    expect(house).toMatchObject({ prices: usual, modelPrices: { b: dear }, modelSettings: { a: {}, b: {} } });
  });

  test.each([
    [{ prices: { input: 1 } }, 'upstreams.0.prices.output: must be a number.'],
    [{ prices: { input: -1, output: 1 } }, 'upstreams.0.prices.input: must be 0 or more.'],
    [{ models: [{ name: 'a', colour: 'blue' }] }, 'upstreams.0.models.0: Unrecognized key: "colour".'],
    [{ models: [7] }, 'upstreams.0.models.0: must be an object.'],
    [{ models: [{ contextTokens: 4096 }] }, 'upstreams.0.models.0.name: must be text.'],
    [{ contextTokens: 4096.5 }, 'upstreams.0.contextTokens: must be a whole number.'],
    [{ tools: 'no' }, 'upstreams.0.tools: must be true or false.'],
    [{ systemRole: 'user' }, "upstreams.0.systemRole: must be 'system' or 'developer' or 'first' or 'none'."],
    [
      { omit: ['messages'] },
      'upstreams.0.omit.0: must not be model or messages or tools, which no request can do without.',
    ],
    [{ omit: ['a b'] }, 'upstreams.0.omit.0: must be the name of a field, such as top_p or messages.name.'],
    [
      { extraBody: { model: 'x' } },
      'upstreams.0.extraBody: must not have model or messages or tools or stream or tool_choice or stream_options or parallel_tool_calls or n.',
    ],
    [
      { headers: { host: 'x' } },
      'upstreams.0.headers.host: must not be a header that the connection itself needs.',
    ],
    [{ headers: { 'x-a': 'ü' } }, 'upstreams.0.headers.x-a: must be one line of ASCII characters.'],
    [{ headers: { 'x a': 'b' } }, 'upstreams.0.headers.x a: must be the name of a header.'],
  ])('%j is told in words', (upstream, sentence) => {
    expect(problems(upstream)).toEqual([sentence]);
  });

  test('a preset that does not exist is told, with those that do', () => {
    const [line = ''] = problems({ preset: 'gpt' });
    for (const name of PRESET_NAMES) expect(line).toContain(`'${name}'`);
  });
});

describe('headers and query', () => {
  const given = {
    headers: {
      'X-Portkey-Api-Key': '${PORTKEY_KEY}',
      authorization: 'Bearer ${PORTKEY_KEY}',
      'x-title': 'House',
    },
    query: { key: '${PORTKEY_KEY}', 'api-version': '2024-10-21' },
  };

  test('take values from the environment, and are not in what may be logged', () => {
    const from = file(given);
    const config = readConfig({ PORTKEY_KEY: SECRET }, from);
    expect(config.upstreams[0]).toMatchObject({
      headers: { 'x-portkey-api-key': SECRET, authorization: `Bearer ${SECRET}`, 'x-title': 'House' },
      query: { key: SECRET, 'api-version': '2024-10-21' },
    });
    expect(config.upstreams[0]?.secrets).toEqual([SECRET, `Bearer ${SECRET}`]);
    expect(JSON.stringify(redacted(config))).not.toContain(SECRET);
    expect(redacted(config)).toMatchObject({ upstreams: [{ query: { 'api-version': '2024-10-21' } }] });
  });

  test('a variable that is missing is told, with the place', () => {
    expect(problems(given)).toEqual([
      "upstream 'house': headers.X-Portkey-Api-Key should have PORTKEY_KEY, which is not set.",
      "upstream 'house': headers.authorization should have PORTKEY_KEY, which is not set.",
      "upstream 'house': query.key should have PORTKEY_KEY, which is not set.",
    ]);
    expect(problems({ headers: { a: '${X}' } }, { X: `${SECRET}\n` })).toEqual([
      "upstream 'house': headers.a must be one line of ASCII characters, with its variables filled in.",
    ]);
    expect(problems({ headers: { a: '${constructor}' } })).toHaveLength(1);
  });
});

describe('the family of a server', () => {
  test.each([
    ['https://api.openai.com/v1', 'openai'],
    ['https://eu.api.openai.com/v1', 'openai'],
    ['https://house.openai.azure.com/openai/v1', 'azure'],
    ['https://house.services.ai.azure.com/openai/v1', 'azure'],
    ['https://generativelanguage.googleapis.com/v1beta/openai', 'gemini'],
    ['https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/endpoints/openapi', 'gemini'],
    ['https://api.deepseek.com', 'deepseek'],
    ['https://api.moonshot.cn/v1', 'kimi'],
    ['https://openrouter.ai/api/v1', 'openrouter'],
    ['https://api.mistral.ai/v1', 'mistral'],
    ['https://api.fireworks.ai/inference/v1', 'fireworks'],
    ['https://api.groq.com/openai/v1', 'groq'],
    ['https://api.together.xyz/v1', 'together'],
    ['https://api.x.ai/v1', 'xai'],
    ['https://dashscope-intl.aliyuncs.com/compatible-mode/v1', 'dashscope'],
    ['https://api.anthropic.com/v1', 'anthropic'],
    ['https://api.portkey.ai/v1', 'portkey'],
    ['http://127.0.0.1:11434/v1', 'ollama'],
    ['http://127.0.0.1:8000/v1', undefined],
    ['https://api.openai.com.example.com/v1', undefined],
    ['https://notopenrouter.ai/v1', undefined],
  ])('%s: %s', (address, preset) => {
    expect(
      readConfig({ OPENAI_BASE_URL: address }, path.join(folder, 'none.json')).upstreams[0]?.preset,
    ).toBe(preset);
  });

  test('is what the operator says, if he says it', () => {
    expect(read({ preset: 'litellm', baseUrl: 'https://api.openai.com/v1' })?.preset).toBe('litellm');
  });

  test.each([
    ['https://a.openai.azure.com/openai/deployments/d', {}, { 'api-version': '2024-10-21' }],
    [
      'https://a.openai.azure.com/openai/deployments/d',
      { 'api-version': '2025-04-01-preview' },
      { 'api-version': '2025-04-01-preview' },
    ],
    ['https://a.openai.azure.com/openai/deployments/d?api-version=1', {}, {}],
    ['https://a.openai.azure.com/openai/v1', {}, {}],
  ])('Azure at %s with %j: the key has its header, the address its version', (address, query, wanted) => {
    expect(read({ baseUrl: address, query })).toMatchObject({ keyHeader: 'api-key', query: wanted });
  });
});

/** A value as the table has it. */
const told = (value: unknown): string =>
  Array.isArray(value) ? value.join(', ') : JSON.stringify(value).replaceAll('"', '');

describe('docs/configuration.md', () => {
  const text = readFileSync(path.join(import.meta.dirname, '../docs/configuration.md'), 'utf8');

  test('lists every preset, what it is chosen for and what it sets', () => {
    const [, rows = ''] = /\| `preset` \| Chosen by.+\n\|[-|]+\n((?:\|.+\n)+)/.exec(text) ?? [];
    const listed = Object.entries(PRESETS).map(([name, { hosts = [], ownedBy, settings }]) => {
      const addresses = hosts.map((host) => {
        if (host.startsWith(':')) return `port ${host.slice(1)}`;
        return `\`${/^[.-]/.test(host) ? '*' : ''}${host}\``;
      });
      const by = [...addresses, ...(ownedBy === undefined ? [] : [`\`owned_by: ${ownedBy}\``])];
      const sets = Object.entries(settings).map(([key, value]) => `\`${key}: ${told(value)}\``);
      return `| \`${name}\` | ${by.join(', ') || 'none'} | ${sets.join(', ') || 'nothing'} |`;
    });
    expect(rows.trim().split('\n')).toEqual(listed);
  });

  test('lists every setting of an upstream', () => {
    const [, section = ''] = /## Model servers(.+?)\n## /s.exec(text) ?? [];
    for (const key of Object.keys(upstreamSchema.shape))
      expect(section).toMatch(new RegExp(`^\\| .*\`${key}\``, 'm'));
  });
});

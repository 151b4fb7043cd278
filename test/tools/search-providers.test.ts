/** SEARCH over real HTTP: what each provider is asked, in the form it publishes, and who is asked when one cannot answer. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ToolError } from '../../src/runs/tool.ts';
import search from '../../src/tools/search.ts';
import { toolContext } from '../support/tool-context.ts';
import { FakeWeb, type WebAnswer } from '../support/web.ts';

const json = (value: unknown): WebAnswer => ({
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
});

const SEARXNG = json({
  query: 'tea',
  number_of_results: 0,
  results: [
    {
      title: 'Oolong',
      url: 'https://tea.example.org/oolong',
      content: 'Partly oxidised.',
      engine: 'bing',
      engines: ['bing'],
      parsed_url: ['https', 'tea.example.org', '/oolong', '', '', ''],
      score: 1,
      category: 'general',
    },
    { title: 'Green', url: 'https://tea.example.org/green', content: null, engine: 'bing' },
  ],
  answers: [],
  corrections: [],
  infoboxes: [],
  suggestions: [],
  unresponsive_engines: [['brave', 'timeout']],
});
const BRAVE = json({
  type: 'search',
  query: { original: 'tea', more_results_available: true },
  mixed: { type: 'mixed', main: [{ type: 'web', index: 0, all: false }] },
  web: {
    type: 'search',
    family_friendly: true,
    results: [
      {
        type: 'search_result',
        title: 'Oolong',
        url: 'https://tea.example.org/oolong',
        description: '<strong>Oolong</strong> is partly oxidised &amp; brewed hot.',
        profile: { name: 'Tea', long_name: 'tea.example.org' },
        age: 'January 2, 2026',
      },
    ],
  },
});
const TAVILY = json({
  query: 'tea',
  answer: null,
  images: [],
  results: [
    {
      title: 'Oolong',
      url: 'https://tea.example.org/oolong',
      content: 'Partly oxidised.',
      score: 0.9,
      raw_content: null,
    },
  ],
  response_time: 1.2,
  request_id: 'r1',
});
const OOLONG = { title: 'Oolong', url: 'https://tea.example.org/oolong' };

let searxng: FakeWeb;
let brave: FakeWeb;
let tavily: FakeWeb;
let logged: { fields: Readonly<Record<string, unknown>>; message: string }[];

beforeEach(async () => {
  [searxng, brave, tavily] = await Promise.all([FakeWeb.start(), FakeWeb.start(), FakeWeb.start()]);
  searxng.answer = () => SEARXNG;
  brave.answer = () => BRAVE;
  tavily.answer = () => TAVILY;
  logged = [];
});
afterEach(() => Promise.all([searxng.close(), brave.close(), tavily.close()]));

function ask(
  providers: readonly string[],
  args: unknown,
  signal = new AbortController().signal,
): Promise<unknown> {
  const context = toolContext({
    settings: {
      providers,
      searxngUrl: `${searxng.url}/under/here`,
      braveApiKey: 'brave-key',
      tavilyApiKey: 'tavily-key',
      baseUrls: { brave: brave.url, tavily: tavily.url },
    },
    log: {
      info: () => undefined,
      warn: (fields, message) => void logged.push({ fields, message }),
    },
    signal,
  });
  return Promise.resolve(search.run(search.parameters.parse(args), context));
}

describe('searxng', () => {
  test('is asked for JSON in the language of the market, wherever it is mounted', async () => {
    expect(await ask(['searxng'], { query: { q: 'tea site:example.org', mkt: 'zh-TW' } })).toStrictEqual({
      provider: 'searxng',
      results: [
        { ...OOLONG, snippet: 'Partly oxidised.' },
        { title: 'Green', url: 'https://tea.example.org/green', snippet: '' },
      ],
    });
    expect(searxng.requests).toMatchObject([
      {
        method: 'GET',
        path: '/under/here/search',
        query: { q: 'tea site:example.org', format: 'json', language: 'zh-TW' },
      },
    ]);
  });

  test('has no say in how many results there are', async () => {
    expect(await ask(['searxng'], { query: 'tea', topk: 1 })).toMatchObject({ results: [OOLONG] });
    const answer = await ask(['searxng'], { query: { q: 'tea', mkt: 'en-US' }, topk: 1 });
    expect(answer).toHaveProperty('results.length', 1);
    expect(searxng.requests[1]?.query).toMatchObject({ language: 'en-US' });
  });
});

describe('brave', () => {
  test.each([
    ['zh-TW', { country: 'TW', search_lang: 'zh-hant' }],
    ['en-US', { country: 'US', search_lang: 'en' }],
  ])('is asked in the market %s, with its key in a header of its own', async (mkt, market) => {
    expect(await ask(['brave'], { query: { q: 'tea', mkt }, topk: '2' })).toStrictEqual({
      provider: 'brave',
      results: [{ ...OOLONG, snippet: 'Oolong is partly oxidised & brewed hot.' }],
    });
    expect(brave.requests).toMatchObject([
      {
        method: 'GET',
        path: '/res/v1/web/search',
        query: { q: 'tea', count: '2', ...market },
        headers: { 'x-subscription-token': 'brave-key' },
      },
    ]);
  });

  test('says nothing about the web when it found nothing', async () => {
    brave.answer = () => json({ type: 'search', query: { original: 'zzzz' } });
    expect(await ask(['brave', 'offline'], { query: 'zzzz' })).toStrictEqual({
      provider: 'brave',
      results: [],
    });
  });

  test.each([['tea '.repeat(100)], ['茶'.repeat(480)], ['long-words '.repeat(42)]])(
    'is asked no more than it takes, and on the right site: %s',
    async (words) => {
      await ask(['brave'], { query: `${words} site:example.org` });
      const q = brave.requests[0]?.query['q'] ?? '';
      expect(q.length).toBeLessThanOrEqual(400);
      expect(q.length).toBeGreaterThan(190);
      expect(q.split(' ').length).toBeLessThanOrEqual(50);
      expect(q).toMatch(/ site:example\.org$/);
    },
  );
});

describe('tavily', () => {
  test('is asked with its key as bearer, and for sites by a list', async () => {
    const q = 'oolong tea SITE:example.org site:https://tea.example.com/x';
    expect(await ask(['tavily'], { query: { q, mkt: 'zh-TW' }, topk: 4 })).toStrictEqual({
      provider: 'tavily',
      results: [{ ...OOLONG, snippet: 'Partly oxidised.' }],
    });
    const [request] = tavily.requests;
    expect(request).toMatchObject({
      method: 'POST',
      path: '/search',
      headers: { authorization: 'Bearer tavily-key', 'content-type': 'application/json' },
    });
    expect(JSON.parse(request?.body ?? '')).toStrictEqual({
      query: 'oolong tea',
      max_results: 4,
      country: 'taiwan',
      include_domains: ['example.org', 'tea.example.com'],
    });
  });

  test('is never asked for nothing, nor for more than it takes', async () => {
    await ask(['tavily'], { query: 'site:example.org' });
    await ask(['tavily'], { query: { q: 'x'.repeat(500), mkt: 'en-US' } });
    const bodies = tavily.requests.map(({ body }) => JSON.parse(body) as unknown);
    expect(bodies).toMatchObject([
      { query: 'site:example.org', include_domains: ['example.org'] },
      { query: 'x'.repeat(400), country: 'united states' },
    ]);
    expect(bodies[1]).not.toHaveProperty('include_domains');
  });
});

describe('when a provider cannot answer', () => {
  const QUERY = 'a very private question';

  test.each([
    ['refuses', (): WebAnswer => ({ status: 403, body: QUERY }), 'it answered with HTTP status 403'],
    ['has had enough', (): WebAnswer => ({ status: 429, body: '{}' }), 'it answered with HTTP status 429'],
    ['is broken', (): WebAnswer => ({ status: 500, body: '' }), 'it answered with HTTP status 500'],
    ['talks rubbish', (): WebAnswer => ({ body: `<html>${QUERY}` }), 'its answer is not JSON'],
    ['answers something else', () => json({ error: QUERY }), 'its answer is not a list of results'],
    ['answers with one result', () => json({ results: {} }), 'its answer is not a list of results'],
    [
      'sends us elsewhere',
      (): WebAnswer => ({ status: 302, headers: { location: tavily.url }, body: '' }),
      'fetch failed',
    ],
  ])('one that %s is logged without the query, and the next is asked', async (_, answer, reason) => {
    searxng.answer = answer;
    expect(await ask(['searxng', 'tavily', 'brave'], { query: QUERY })).toMatchObject({ provider: 'tavily' });
    expect(brave.requests).toStrictEqual([]);
    const [line, ...others] = logged;
    expect(others).toStrictEqual([]);
    expect(line?.message).toBe('search provider failed');
    expect(Object.keys(line?.fields ?? {})).toStrictEqual(['provider', 'reason', 'ms']);
    expect(line?.fields).toMatchObject({ provider: 'searxng', reason });
    expect(JSON.stringify(logged)).not.toMatch(/private/);
  });

  test('one that is not there is passed over, and those that follow are asked in their order', async () => {
    await searxng.close();
    brave.answer = () => ({ status: 422, body: '{"type":"ErrorResponse"}' });
    expect(await ask(['searxng', 'brave', 'offline'], { query: 'tea' })).toMatchObject({
      provider: 'offline',
    });
    expect(logged.map(({ fields }) => fields['provider'])).toStrictEqual(['searxng', 'brave']);
    searxng = await FakeWeb.start();
  });

  test('one that says nothing gets its share of the time only', async () => {
    searxng.answer = () => null;
    const startedAt = performance.now();
    expect(await ask(['searxng', 'brave', 'tavily'], { query: 'tea' })).toMatchObject({ provider: 'brave' });
    expect(performance.now() - startedAt).toBeLessThan(8_000);
    expect(logged).toMatchObject([{ fields: { reason: 'it did not answer in time' } }]);
  });

  test('without any other, search is not available', async () => {
    searxng.answer = () => ({ status: 500, body: '' });
    const refusal = ask(['searxng'], { query: QUERY });
    await expect(refusal).rejects.toThrow(ToolError);
    await expect(refusal).rejects.toThrow('Search is not available now');
    await expect(refusal).rejects.not.toThrow(QUERY);
  });

  test('an empty list is an answer', async () => {
    searxng.answer = () => json({ results: [] });
    expect(await ask(['searxng', 'brave'], { query: 'zzzz' })).toStrictEqual({
      provider: 'searxng',
      results: [],
    });
    expect(brave.requests).toStrictEqual([]);
  });

  test('nobody is asked any more once nobody waits', async () => {
    const waiting = new AbortController();
    searxng.answer = () => {
      waiting.abort(new Error('nobody waits'));
      return null;
    };
    await expect(ask(['searxng', 'brave'], { query: 'tea' }, waiting.signal)).rejects.toThrow('nobody waits');
    expect([brave.requests, logged]).toStrictEqual([[], []]);
  });
});

describe('settings', () => {
  test.each([
    [{ providers: ['brave'] }, 'braveApiKey, which is missing'],
    [{ providers: ['tavily'] }, 'tavilyApiKey, which is missing'],
    [{ providers: ['offline', 'searxng'] }, 'searxngUrl, which is missing'],
    [{ providers: ['google'] }, 'providers.0'],
    [{ providers: [] }, 'providers'],
    [{ providers: ['searxng'], searxngUrl: 'sesame' }, 'searxngUrl'],
  ])('%j cannot be searched with', async (settings, advice) => {
    const refusal = Promise.resolve(search.run({ query: { q: 'tea' } }, toolContext({ settings })));
    await expect(refusal).rejects.toThrow(ToolError);
    await expect(refusal).rejects.toThrow(advice);
    await expect(refusal).rejects.not.toThrow('sesame');
  });
});

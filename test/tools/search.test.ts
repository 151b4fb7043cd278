/** SEARCH: its arguments, its offline notes, and what it makes of what providers say; search-providers.test.ts has the wire. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { shellSafe } from '../../src/api/http/shell-safe.ts';
import search from '../../src/tools/search.ts';
import { MAX_ANSWER_BYTES } from '../../src/tools/search/fit.ts';
import { NOTES } from '../../src/tools/search/notes.ts';
import { character } from '../support/character.ts';
import { toolContext } from '../support/tool-context.ts';

const answerSchema = z.strictObject({
  provider: z.string(),
  notice: z.string().optional(),
  results: z.array(z.strictObject({ title: z.string(), url: z.string(), snippet: z.string() })),
});

type Answer = z.infer<typeof answerSchema>;

async function ask(args: unknown, context = toolContext()): Promise<Answer> {
  return answerSchema.parse(await search.run(search.parameters.parse(args), context));
}

/** What SEARCH makes of these results of a provider. */
async function shown(results: unknown, q = 'tea', topk = 5): Promise<Answer> {
  return ask(
    { query: q, topk },
    toolContext({
      settings: { providers: ['searxng'], searxngUrl: 'http://127.0.0.1/' },
      fetch: async () => Response.json({ results }),
    }),
  );
}

describe('SEARCH arguments', () => {
  test('as assistants declare them', () => {
    const args = { query: { q: 'taipei weather today rain site:example.com', mkt: 'en-US' }, topk: '2' };
    expect(search.parameters.parse(args)).toStrictEqual({
      query: { q: 'taipei weather today rain site:example.com', mkt: 'en-US' },
      topk: 2,
    });
  });

  test('a query that is a plain string', () => {
    expect(search.parameters.parse({ query: ' tea ' })).toMatchObject({ query: { q: 'tea' } });
  });

  test.each([
    ['1', 1],
    [' 4 ', 4],
    [5, 5],
    [2.9, 2],
    ['0', 1],
    [-3, 1],
    ['99', 5],
    ['', undefined],
    [null, undefined],
    [undefined, undefined],
  ])('topk %j is read as %j', (topk, limit) => {
    expect(search.parameters.parse({ query: 'tea', topk }).topk).toBe(limit);
  });

  test('three results are enough unless the model says otherwise', async () => {
    const query = 'taiwan tea mountain water light search longrun';
    expect((await ask({ query })).results).toHaveLength(3);
    expect((await ask({ query, topk: 5 })).results).toHaveLength(5);
  });

  test.each([
    ['en-US', 'en-US'],
    ['EN-us', 'en-US'],
    ['fr-FR', 'zh-TW'],
    [7, 'zh-TW'],
    [null, 'zh-TW'],
  ])('the market %j is searched as %s', (mkt, market) => {
    expect(search.parameters.parse({ query: { q: 'tea', mkt } }).query.mkt).toBe(market);
  });

  test.each([
    [null, 'must be a JSON object'],
    ['tea', 'must be a JSON object'],
    [{}, 'query.q must be 1 to 500 characters'],
    [{ query: {} }, 'query.q'],
    [{ query: 5 }, 'query.q'],
    [{ query: { q: '  ' } }, 'query.q'],
    [{ query: { q: 5 } }, 'query.q'],
    [{ query: 'x'.repeat(501) }, '500 characters'],
    [{ query: 'tea', topk: 'many' }, 'topk must be a whole number from 1 to 5'],
    [{ query: 'tea', topk: {} }, 'topk must be a whole number from 1 to 5'],
  ])('arguments %j are refused with advice and an example', (args, advice) => {
    const issues = search.parameters.safeParse(args).error?.issues ?? [];
    expect(issues).toHaveLength(1);
    expect(issues[0]?.message).toContain(advice);
    expect(issues[0]?.message).toContain('For example: {"query": {"q": ');
  });

  test('every mistake is named at once', () => {
    const refusal = search.parameters.safeParse({ query: '', topk: 'many' });
    expect(refusal.error?.issues.map(({ path }) => path[0])).toStrictEqual(['query', 'topk']);
  });

  test('models are told the nested form, its markets and that topk is a string', () => {
    expect(z.toJSONSchema(search.parameters, { io: 'input' })).toMatchObject({
      type: 'object',
      required: ['query'],
      properties: {
        query: {
          type: 'object',
          required: ['q'],
          properties: {
            q: { type: 'string', maxLength: 500 },
            mkt: { type: 'string', enum: ['zh-TW', 'en-US'] },
          },
        },
        topk: { type: 'string', enum: ['1', '2', '3', '4', '5'] },
      },
    });
  });
});

describe('the offline provider', () => {
  test('says where its results come from', async () => {
    const { provider, notice } = await ask({ query: 'tea' });
    expect(provider).toBe('offline');
    expect(notice).toContain('offline search');
  });

  test('finds a note by English words, in either market', async () => {
    const [english] = (await ask({ query: { q: 'How high is Taipei 101?', mkt: 'en-US' } })).results;
    const [chinese] = (await ask({ query: { q: 'How high is Taipei 101?', mkt: 'zh-TW' } })).results;
    expect(english?.title).toBe('Taipei 101, a tower in Taipei, Taiwan');
    expect(english?.snippet).toContain('508 metres');
    expect(chinese?.url).toBe(english?.url);
    expect(chinese?.snippet).toContain('508公尺');
  });

  test('answers in Chinese when no market is named', async () => {
    expect((await ask({ query: 'Yushan' })).results[0]?.title).toBe('玉山：台灣最高的山');
  });

  test('finds a note by Chinese words, which no spaces divide', async () => {
    const [first] = (await ask({ query: '台灣最高的山是哪一座' })).results;
    expect(first?.title).toBe('玉山：台灣最高的山');
  });

  test('says about itself what a question for news must know', async () => {
    const [english] = (await ask({ query: { q: 'latest news headlines today', mkt: 'en-US' } })).results;
    const [chinese] = (await ask({ query: '今天的新聞' })).results;
    expect(english?.snippet).toContain('The offline search has no news');
    expect(chinese?.url).toBe(english?.url);
  });

  test('gives the same results every time, and nothing rather than something unrelated', async () => {
    const args = { query: 'taiwan tea mountain water light search longrun', topk: 5 };
    expect(await ask(args)).toStrictEqual(await ask(args));
    expect((await ask({ query: 'zzzz qqqq' })).results).toStrictEqual([]);
  });

  test.each([
    ['taiwan site:tea.example.org', ['tea.example.org']],
    ['taiwan SITE:https://tea.example.org/path', ['tea.example.org']],
    ['taiwan site:example.org', ['places.example.org', 'tea.example.org']],
    ['taiwan site:*.example.org', ['places.example.org', 'tea.example.org']],
    ['taiwan site:ample.org', []],
    ['site:science.example.net', ['science.example.net']],
    ['zzzz site:science.example.net', []],
    ['site:', []],
  ])('stays on the site in %j', async (query, hosts) => {
    const { results } = await ask({ query, topk: 5 });
    expect([...new Set(results.map(({ url }) => new URL(url).hostname))].toSorted()).toStrictEqual(hosts);
  });

  test('an aborted call is not answered', async () => {
    const signal = AbortSignal.abort(new Error('nobody waits'));
    await expect(ask({ query: 'tea' }, toolContext({ signal }))).rejects.toThrow('nobody waits');
  });

  test('every note lies on a host reserved for examples', () => {
    for (const { url } of NOTES) expect(new URL(url).hostname).toMatch(/\.example\.(com|net|org)$/);
    expect(new Set(NOTES.map(({ url }) => url)).size).toBe(NOTES.length);
  });
});

describe('what providers say', () => {
  test('is told as plain text in one line', async () => {
    const { results } = await shown([
      {
        title: '<strong>Tea</strong> &amp; water\u0007',
        url: 'https://tea.example.org',
        content:
          'It&#x27;s <b\nclass=">">5 &lt; 6</b>\n\n 高山茶\u202E\u{E0041}<script>alert(1)</script> \ud83d!',
      },
    ]);
    expect(results).toStrictEqual([
      { title: 'Tea & water', url: 'https://tea.example.org/', snippet: "It's 5 < 6 高山茶 �!" },
    ]);
  });

  test('is left out when its address is none of the web', async () => {
    const urls = ['javascript:alert(1)', 'file:///etc/passwd', 'data:text/html,x', '/page', '', 5];
    const { results } = await shown([
      ...urls.map((url) => ({ title: 'x', url, content: 'x' })),
      { title: 'x', url: `https://example.org/${'x'.repeat(600)}`, content: 'x' },
      'not a result',
      null,
      { url: 'https://example.org/only' },
    ]);
    expect(results).toStrictEqual([{ title: 'example.org', url: 'https://example.org/only', snippet: '' }]);
  });

  test('is left out when it lies on another site than was asked for', async () => {
    const urls = [
      'https://xn--fsqu00a.tw/a',
      'https://www.xn--fsqu00a.tw/b',
      'https://other.tw/',
      'https://nottw/',
    ];
    const found = urls.map((url) => ({ title: 'x', url, content: 'x' }));
    const { results } = await shown(found, 'tea site:例子.tw');
    expect(results.map(({ url }) => url)).toStrictEqual(urls.slice(0, 2));
  });

  test('long snippets share the room, so that no result is lost', async () => {
    const found = [1, 2, 3, 4, 5].map((n) => ({
      title: `標題${n}`,
      url: `https://example.org/${n}`,
      content: '臺灣高山茶'.repeat(400),
    }));
    const { results } = await shown(found);
    expect(results).toHaveLength(5);
    for (const { snippet } of results) expect(snippet).toMatch(/^(臺灣高山茶){60,}.*…$/);
  });

  test('uses the room there is, and no more, when every character is an awkward one', async () => {
    const found = [1, 2, 3, 4, 5].map((n) => ({
      title: '*'.repeat(50),
      url: `https://example.org/${n}`,
      content: '*'.repeat(1_000),
    }));
    const bytes = Buffer.byteLength(shellSafe(JSON.stringify(await shown(found))));
    expect(bytes).toBeLessThanOrEqual(MAX_ANSWER_BYTES);
    expect(bytes).toBeGreaterThan(MAX_ANSWER_BYTES - 700);
  });

  const nasty = fc.string({
    unit: fc.constantFrom('a', ' ', '"', '\\', '*', '?', '[', '臺', '🍵', '&lt;', '\n', '+('),
  });
  const anything = fc.oneof(
    fc.string({ unit: character, maxLength: 3_000 }),
    nasty,
    fc.tuple(nasty, fc.nat(3_000)).map(([text, count]) => text.repeat(count).slice(0, 5_000)),
  );
  const result = fc.record({
    title: anything,
    url: fc.oneof(
      fc.webUrl(),
      anything.map((path) => `https://example.org/${path.slice(0, 490)}`),
    ),
    content: anything,
  });

  test('fits scripts that cut at 8,000, however it has to be written', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(result, { minLength: 3, maxLength: 7 }), async (results) => {
        const answer = await shown(results);
        expect(Buffer.byteLength(shellSafe(JSON.stringify(answer)))).toBeLessThanOrEqual(MAX_ANSWER_BYTES);
      }),
      { numRuns: 200 },
    );
  });
});

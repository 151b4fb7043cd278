import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ToolArgumentError, type ToolContext } from '../../src/runs/tool.ts';
import search, { createSearch } from '../../src/tools/search.ts';
import { NOTES } from '../../src/tools/search/notes.ts';
import type { SearchQuery } from '../../src/tools/search/provider.ts';

const context: ToolContext = {
  threadId: 'thread_1',
  assistantId: null,
  callId: null,
  extras: {},
  secrets: {},
  signal: new AbortController().signal,
};

const answerSchema = z.strictObject({
  provider: z.string(),
  notice: z.string(),
  results: z.array(z.strictObject({ title: z.string(), url: z.string(), snippet: z.string() })),
});

async function ask(args: unknown): Promise<z.infer<typeof answerSchema>> {
  return answerSchema.parse(await search.run(args, context));
}

/** The query that a provider is asked for these arguments. */
async function queryFor(args: unknown): Promise<SearchQuery | null> {
  let asked: SearchQuery | null = null;
  const tool = createSearch({
    name: 'listening',
    notice: null,
    search: async (query) => {
      asked = query;
      return [];
    },
  });
  expect(await tool.run(args, context)).toStrictEqual({ provider: 'listening', results: [] });
  return asked;
}

describe('SEARCH arguments', () => {
  test('arguments as assistants declare them', async () => {
    const args = { query: { q: 'taipei weather today rain site:example.com', mkt: 'en-US' }, topk: '2' };
    expect(await queryFor(args)).toStrictEqual({
      q: 'taipei weather today rain site:example.com',
      market: 'en-US',
      limit: 2,
    });
  });

  test('the market is zh-TW and three results are enough unless the model says otherwise', async () => {
    expect(await queryFor({ query: { q: ' tea ' } })).toStrictEqual({ q: 'tea', market: 'zh-TW', limit: 3 });
  });

  test('a query that is a plain string', async () => {
    expect(await queryFor({ query: 'tea', topk: 1 })).toStrictEqual({ q: 'tea', market: 'zh-TW', limit: 1 });
  });

  test.each([
    ['1', 1],
    [' 4 ', 4],
    [5, 5],
    [2.9, 2],
    ['0', 1],
    [-3, 1],
    ['99', 5],
    ['', 3],
    [null, 3],
    [undefined, 3],
  ])('topk %j gives at most %i results', async (topk, limit) => {
    expect(await queryFor({ query: { q: 'tea' }, topk })).toMatchObject({ limit });
  });

  test.each([
    ['en-US', 'en-US'],
    ['EN-us', 'en-US'],
    ['fr-FR', 'zh-TW'],
    [7, 'zh-TW'],
    [null, 'zh-TW'],
  ])('the market %j is searched as %s', async (mkt, market) => {
    expect(await queryFor({ query: { q: 'tea', mkt } })).toMatchObject({ market });
  });

  test.each([
    [null, 'must be a JSON object'],
    ['tea', 'must be a JSON object'],
    [{}, 'query.q'],
    [{ query: {} }, 'query.q'],
    [{ query: { q: '  ' } }, 'query.q'],
    [{ query: { q: 5 } }, 'query.q'],
    [{ query: 'x'.repeat(501) }, '500 characters'],
    [{ query: 'tea', topk: 'many' }, 'topk must be a whole number from 1 to 5'],
    [{ query: 'tea', topk: {} }, 'topk must be a whole number from 1 to 5'],
  ])('arguments %j are refused with advice and an example', async (args, advice) => {
    const refusal = search.run(args, context);
    await expect(refusal).rejects.toThrow(ToolArgumentError);
    await expect(refusal).rejects.toThrow(advice);
    await expect(refusal).rejects.toThrow('For example: {"query": {"q": ');
  });

  test('every mistake is named at once', async () => {
    await expect(search.run({ query: '', topk: 'many' }, context)).rejects.toThrow(/query\.q.*topk/);
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

  test('gives at most topk results, and the same ones every time', async () => {
    const args = { query: 'taiwan tea mountain water light search longrun', topk: 5 };
    expect((await ask(args)).results).toHaveLength(5);
    expect(await ask(args)).toStrictEqual(await ask(args));
  });

  test('finds nothing rather than something unrelated', async () => {
    expect((await ask({ query: 'zzzz qqqq' })).results).toStrictEqual([]);
  });

  test.each([
    ['taiwan site:tea.example.org', ['tea.example.org']],
    ['taiwan SITE:https://tea.example.org/path', ['tea.example.org']],
    ['taiwan site:example.org', ['places.example.org', 'tea.example.org']],
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
    await expect(search.run({ query: 'tea' }, { ...context, signal })).rejects.toThrow('nobody waits');
  });

  test('every note lies on a host reserved for examples', () => {
    for (const { url } of NOTES) expect(new URL(url).hostname).toMatch(/\.example\.(com|net|org)$/);
    expect(new Set(NOTES.map(({ url }) => url)).size).toBe(NOTES.length);
  });
});

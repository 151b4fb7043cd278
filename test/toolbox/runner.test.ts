/** One call to its end: what a model is told when things go wrong, and what is answered from memory. */
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { ToolArgumentError, ToolError, type Tool, type ToolSource } from '../../src/runs/tool.ts';
import { toolRunner } from '../../src/toolbox/runner.ts';
import { Toolbox, type ToolSettings } from '../../src/toolbox/toolbox.ts';
import { openFetch, toolContext } from '../support/tool-context.ts';

const PLAIN: Tool = {
  name: 'plain',
  description: 'x',
  parameters: { type: 'object' },
  timeoutMs: 10_000,
  maxOutputBytes: 100,
  cacheS: 0,
  answeredBy: 'worker',
  waitMs: 0,
  run: async () => 'well',
};
const { signal, fetch: _fetch, log: _log, settings: _settings, ...CALL } = toolContext();

/** A runner over one tool; `lines` is what it logs. */
function running(tool: Partial<Tool>, choice?: Partial<ToolSettings>) {
  const lines: string[] = [];
  const kept = new Map<string, string>();
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const source: ToolSource = {
    type: 'file',
    from: 'x',
    tools: () => [{ ...PLAIN, ...tool }],
    health: () => ({ status: 'ok' }),
    close: async () => {},
  };
  const chosen = { enabled: true, allowHosts: [], settings: {}, ...choice };
  const run = toolRunner({
    toolbox: new Toolbox([source], { plain: chosen }, log),
    cache: {
      get: async (project, key) => kept.get(`${project} ${key}`) ?? null,
      set: async (project, key, answer) => void kept.set(`${project} ${key}`, answer),
    },
    fetchOf: () => openFetch,
    log,
  });
  const write = (written: string, call = CALL): Promise<unknown> => run('plain', written, call, signal);
  return { lines, write, ask: (args: unknown = {}, call = CALL) => write(JSON.stringify(args), call) };
}

describe('a model is told', () => {
  test('what the tool answers', async () => {
    expect(await running({}).ask()).toBe('well');
  });

  /** Those that everybody's log has. */
  const loud = (lines: readonly string[]): string =>
    lines.filter((line) => !line.includes('"level":20')).join();

  test('a reason that is meant for it, which the log shows at debug only', async () => {
    const { ask, lines } = running({ run: () => Promise.reject(new ToolError('No such city.')) });
    expect(await ask()).toEqual({ error: 'No such city.' });
    expect(lines.join()).toContain('No such city.');
    expect(loud(lines)).toContain('"outcome":"refused"');
    expect(loud(lines)).not.toContain('No such city.');
  });

  test('of any other error only that there was one; the log has the rest', async () => {
    const { ask, lines } = running({ run: () => Promise.reject(new Error('at 10.0.0.7')) });
    expect(await ask()).toEqual({ error: 'plain failed. Go on without it.' });
    expect(lines.join()).toContain('10.0.0.7');
    expect(loud(lines)).toContain('"outcome":"failed"');
    expect(loud(lines)).not.toContain('10.0.0.7');
  });

  test('that an answer is too big', async () => {
    const { ask } = running({ run: async () => 'x'.repeat(99) });
    expect(await ask()).toEqual({ error: expect.stringMatching(/101 bytes; at most 100/) as unknown });
  });

  test('that the time is over, by the operator’s limit', async () => {
    const { ask } = running({ run: () => new Promise(() => {}) }, { timeoutMs: 20 });
    expect(await ask()).toEqual({ error: 'plain did not answer within 0.02 s.' });
  });

  test('that a tool the operator has turned off is not there', async () => {
    expect(await running({}, { enabled: false }).ask()).toEqual({
      error: "There is no tool 'plain' now. Go on without it.",
    });
  });
});

describe('arguments', () => {
  const args = async (given: unknown): Promise<unknown> => given;

  test.each([
    ['that are JSON are read', '{"n":[1]}', { n: [1] }],
    ['that are no JSON are the text that was written', '{"n":', '{"n":'],
    ['that are blank are none', ' ', {}],
    ['may be as deep as 64 levels', `${'['.repeat(64)}1${']'.repeat(64)}`, expect.any(Array)],
    ['may hold brackets without end in a string', JSON.stringify(['['.repeat(90)]), ['['.repeat(90)]],
  ])('%s', async (_, written, read) => {
    expect(await running({ run: args, maxOutputBytes: 1_000 }).write(written)).toEqual(read);
  });

  test('that are no JSON are told so to the model, whatever the tool says', async () => {
    const run = async (): Promise<never> => {
      throw new ToolArgumentError('There is no city.');
    };
    const { write } = running({ run });
    expect(await write('{"city": "Ber')).toEqual({ error: 'The arguments are not JSON. There is no city.' });
    expect(await write('"Berlin"')).toEqual({ error: 'There is no city.' });
  });

  test.each([
    ['too deep', '['.repeat(50_000) + ']'.repeat(50_000), /deeper than 64 levels/],
    ['too deep and broken off', '['.repeat(50_000), /deeper than 64 levels/],
    ['too long', JSON.stringify('天'.repeat(200_000)), /more than 524288 bytes/],
    ['too many', `[${'0,'.repeat(20_000)}0]`, /more than 20000 values/],
  ])('that are %s reach neither the tool nor the cache', async (_, written, reason) => {
    let runs = 0;
    const run = async (): Promise<unknown> => (runs += 1);
    const { write, lines } = running({ cacheS: 60, run });
    expect(await write(written)).toEqual({ error: expect.stringMatching(reason) as unknown });
    expect(runs).toBe(0);
    expect(lines.join()).toContain('wrong arguments');
  });
});

test('an answer that is nested too deep is refused in words, however deep', async () => {
  const nest = (depth: number): unknown => {
    let value: unknown = 'x';
    for (let level = 0; level < depth; level++) value = [value];
    return value;
  };
  for (const depth of [65, 1_000, 100_000]) {
    const { ask } = running({ run: async () => nest(depth), maxOutputBytes: 1024 * 1024 });
    expect(await ask()).toEqual({ error: expect.stringMatching(/nested deeper than 64 levels/) as unknown });
  }
});

test('a reason is cut before it crowds out a conversation', async () => {
  const { ask } = running({ run: () => Promise.reject(new ToolError('x'.repeat(1_000_000))) });
  expect(JSON.stringify(await ask()).length).toBeLessThan(10_000);
});

describe('an answer that may be kept', () => {
  const counting = () => {
    let count = 0;
    return { run: async () => (count += 1) };
  };

  test('is given again for the same arguments only', async () => {
    const { ask } = running({ cacheS: 60, ...counting() });
    expect([await ask({ q: 'a' }), await ask({ q: 'a' }), await ask({ q: 'b' })]).toEqual([1, 1, 2]);
  });

  test('is given to callers of the same project only', async () => {
    const { ask } = running({ cacheS: 60, ...counting() });
    const ofAnother = { ...CALL, project: 'q' };
    expect([await ask(), await ask({}, ofAnother), await ask(), await ask({}, ofAnother)]).toEqual([
      1, 2, 1, 2,
    ]);
  });

  test('is neither kept nor used where a caller’s secrets may have made it', async () => {
    const { ask } = running({ cacheS: 60, ...counting() });
    const ofAnn = { ...CALL, secrets: { card: 'ann' } };
    const ofBob = { ...CALL, secrets: { card: 'bob' } };
    expect([await ask({}, ofAnn), await ask({}, ofBob), await ask(), await ask({}, ofAnn)]).toEqual([
      1, 2, 3, 4,
    ]);
  });

  test('is not kept where the operator says so', async () => {
    const { ask } = running({ cacheS: 60, ...counting() }, { cacheS: 0 });
    expect([await ask(), await ask()]).toEqual([1, 2]);
  });

  test('is not a failure', async () => {
    let fails = true;
    const run = async (): Promise<unknown> => {
      if (fails) throw new ToolError('not now');
      return 'well';
    };
    const { ask } = running({ cacheS: 60, run });
    expect(await ask()).toEqual({ error: 'not now' });
    fails = false;
    expect(await ask()).toBe('well');
  });
});

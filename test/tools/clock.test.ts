import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ToolArgumentError } from '../../src/runs/tool.ts';
import clock, { createClock } from '../../src/tools/clock.ts';
import { toolContext } from '../support/tool-context.ts';

const answerSchema = z.object({ utc: z.string() });
const fixed = createClock(() => new Date('2026-03-01T16:05:09.500Z'));

const tell = async (args: unknown, tool = fixed): Promise<unknown> =>
  tool.run(tool.parameters.parse(args), toolContext());

describe('clock', () => {
  test('tells the time in UTC when no zone is asked for', async () => {
    const answer = {
      timezone: 'UTC',
      local: '2026-03-01T16:05:09+00:00',
      weekday: 'Sunday',
      utc: '2026-03-01T16:05:09.500Z',
      unix_seconds: 1772381109,
    };
    for (const args of [{}, null, undefined, { timezone: '' }, { timezone: null }]) {
      expect(await tell(args)).toStrictEqual(answer);
    }
  });

  test.each([
    ['Asia/Taipei', '2026-03-02T00:05:09+08:00', 'Monday'],
    ['america/new_york', '2026-03-01T11:05:09-05:00', 'Sunday'],
    ['Asia/Kathmandu', '2026-03-01T21:50:09+05:45', 'Sunday'],
  ])('tells the time in %s with its offset, midnight as hour 00', async (timezone, local, weekday) => {
    expect(await tell({ timezone })).toMatchObject({ local, weekday });
  });

  test('follows daylight saving time', async () => {
    const summer = createClock(() => new Date('2026-07-01T00:00:00Z'));
    expect(await tell({ timezone: 'Europe/Berlin' }, summer)).toMatchObject({
      local: '2026-07-01T02:00:00+02:00',
    });
  });

  test('an unknown zone is named, with what to use instead', async () => {
    await expect(tell({ timezone: 'Mars/Base "1"' })).rejects.toThrow(ToolArgumentError);
    await expect(tell({ timezone: 'Mars/Base' })).rejects.toThrow(/"Mars\/Base".*"Asia\/Taipei"/);
  });

  test.each([[5], ['Asia/Taipei'], [{ timezone: 8 }], [[]]])(
    'refuses the arguments %j with advice',
    (args) => {
      const issues = fixed.parameters.safeParse(args).error?.issues ?? [];
      expect(issues.map(({ message }) => message)).toStrictEqual([
        expect.stringContaining('such as {} or {"timezone": "Asia/Taipei"}'),
      ]);
    },
  );

  test('the tool of the folder reads the real clock', async () => {
    const before = Date.now();
    const answer = await tell({}, clock);
    const told = Date.parse(answerSchema.parse(answer).utc);
    expect(told).toBeGreaterThanOrEqual(before);
    expect(told).toBeLessThanOrEqual(Date.now());
  });
});

/** A turn of two kinds of tools as the official Python SDKs stream it; the Node SDKs are in test/api/auto-tools.test.ts. */
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { calls, says } from '../support/upstream.ts';
import { INSTALL_MS, pythonWithOpenAi, runProgram, type Python } from './programs.ts';
import { withSharedService } from '../support/shared-service.ts';

const PROGRAM = fileURLToPath(new URL('tools/mixed_turn.py', import.meta.url));

beforeAll(async () => {
  upstream.reply(({ outputs }) =>
    outputs.length === 0
      ? calls([
          { name: 'clock', arguments: {} },
          { name: 'weather', arguments: { city: 'Tainan' } },
        ])
      : says('Late and sunny.'),
  );
});

const { upstream, service } = withSharedService();

describe.each([2, 3])('openai %i', (major) => {
  let python: Python;
  beforeAll(async () => {
    python = await pythonWithOpenAi(major);
  }, INSTALL_MS);

  test('streams a mixed turn: the client is asked for its own call only, and the step shows both', async (context) => {
    if ('missing' in python) return context.skip(python.missing);
    const { code, stdout, stderr } = await runProgram(python.path, [
      '-W',
      'ignore',
      PROGRAM,
      service.baseUrl,
    ]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      waiting: ['weather'],
      first: ['thread.run.step.delta', 'thread.run.requires_action'],
      status: 'completed',
      calls: [
        ['clock', true],
        ['weather', true],
      ],
      said: 'Late and sunny.',
    });
  });
});

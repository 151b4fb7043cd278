/** A run that is steered in the middle of its stream, as the helpers of the official Python SDKs hear it. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { RedisKeys } from '../../src/store/keys.ts';
import { openState } from '../../src/store/redis.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import { silent } from '../store/fixture.ts';
import { finish, gate, text } from '../support/upstream.ts';
import { withSharedService } from '../support/shared-service.ts';
import { INSTALL_MS, pythonWithOpenAi, runProgram, type Python } from './programs.ts';

vi.setConfig({ testTimeout: 400_000 });

const PROGRAM = fileURLToPath(new URL('steer/steer.py', import.meta.url));
const { upstream, service, wire } = withSharedService();

let redis: ScriptedRedis;

beforeAll(async () => {
  redis = await openState(inject('redisUrl'), 'wait', silent);
});

afterAll(() => redis.disconnect());

/** What waits for the run of a thread. */
async function waiting(threadId: string): Promise<string> {
  const keys = new RedisKeys(service.redisPrefix);
  const ref = { project: 'default', threadId };
  const runId = (await redis.get(keys.active(ref))) ?? '';
  return (await redis.hget(keys.run({ ...ref, runId }), 'waiting')) ?? '';
}

describe.each([2, 3])('openai %i', (major) => {
  let python: Python;
  beforeAll(async () => {
    python = await pythonWithOpenAi(major);
  }, INSTALL_MS);

  test('hears where the messages came in, and the words of the model alone as text', async (context) => {
    if ('missing' in python) return context.skip(python.missing);
    const door = gate();
    upstream.reply((request) =>
      request.text === 'A story' ? [text('Half'), door, text(' and half.'), finish('stop')] : undefined,
    );
    const { id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const thread = await wire.thread('A story');
    const running = runProgram(python.path, ['-W', 'ignore', PROGRAM, service.baseUrl, id, thread]);
    await door.reached;
    await expect.poll(async () => waiting(thread), { timeout: 60_000 }).toContain('And louder!');
    door.open();
    const { code, stdout, stderr } = await running;
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const answer = 'You said: And louder!';
    const asked = [
      ['user', 'Shorter!'],
      ['user', 'And louder!'],
    ];
    expect(JSON.parse(stdout)).toEqual({
      same: true,
      first: {
        text: `Half and half.${answer}`,
        done: [['assistant', 'Half and half.'], ...asked, ['assistant', answer]],
      },
      second: { text: answer, done: [...asked, ['assistant', answer]] },
    });
  });
});

/** A model server that is busy and says for how long: its callers are told, on every path that can say it. */
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { asking, post } from '../support/chat.ts';
import { refuses } from '../support/upstream.ts';
import { withSharedService } from '../support/shared-service.ts';

let headers: Readonly<Record<string, string>>;

const { upstream, service, wire } = withSharedService({ UPSTREAM_RETRIES: '0' });

beforeAll(async () => {
  upstream.reply(() => refuses(429, 'Rate limit reached', headers));
});

beforeEach(() => {
  headers = { 'retry-after': '17' };
});

const waitsOf = (response: Response): unknown => [
  response.status,
  response.headers.get('retry-after'),
  response.headers.get('retry-after-ms'),
];

describe.each(['/v1/chat/completions', '/chat/completions'])('on %s', (path) => {
  test.each([true, false])('with stream: %s', async (stream) => {
    const response = await post(`${service.url}${path}`, asking('hi', { stream }));
    expect(waitsOf(response)).toEqual([429, '17', '17000']);
    expect(response.headers.get('x-should-retry')).toBe('false');
    expect(await response.json()).toEqual({
      error: {
        message: 'Rate limit reached. Try again in 17 s.',
        type: 'rate_limit_error',
        param: null,
        code: 'rate_limit_exceeded',
      },
    });
  });
});

test.each<[string, Readonly<Record<string, string>>, unknown]>([
  ['milliseconds', { 'retry-after-ms': '1250' }, [429, '2', '1250']],
  ['no time', {}, [429, null, null]],
  ['nonsense', { 'retry-after': 'soon' }, [429, null, null]],
  ['a time before now', { 'retry-after': '-5' }, [429, null, null]],
  ['more than anybody waits', { 'retry-after': '1e99' }, [429, '86400', '86400000']],
  ['a moment', { 'retry-after-ms': '0.2' }, [429, '1', '1']],
])('%s is told as far as it makes sense', async (_, given, told) => {
  headers = given;
  expect(waitsOf(await post(`${service.baseUrl}/chat/completions`, asking('hi')))).toEqual(told);
});

test('a run says it in its last error, which has no further fields', async () => {
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const run = await wire.rested(await wire.run(await wire.thread('hi'), { assistant_id }));
  const error = { code: 'rate_limit_exceeded', message: 'Rate limit reached. Try again in 17 s.' };
  expect(run.last_error).toEqual(error);
  const again = await wire.ask('GET', `/threads/${run.thread_id}/runs/${run.id}`);
  expect(again.headers.get('retry-after')).toBeNull();
  const frames = await (await wire.stream('GET', `/threads/${run.thread_id}/runs/${run.id}/events`)).rest();
  expect(frames.find(({ name }) => name === 'thread.run.failed')?.data).toMatchObject({ last_error: error });
  expect(JSON.stringify(frames)).not.toContain('retry_after');
});

test('glasses apologize, as for any failure', async () => {
  const response = await post(`${service.url}/custom_agent/chat`, asking('hi', { stream: false }));
  expect(response.status).toBe(200);
});

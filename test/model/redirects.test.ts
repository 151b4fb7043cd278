/** An address that sends its callers elsewhere: nobody goes there, and nothing of the conversation or the key does. */
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ModelCatalog } from '../../src/model/catalog.ts';
import {
  NO_FACTS,
  ask,
  begin,
  failureOf,
  HELLO,
  modelAt,
  startUpstream,
  upstreamAt,
  type TestUpstream,
} from './upstream.ts';

let elsewhere: TestUpstream;
let upstream: TestUpstream;
let location: string | undefined;
let status: number;

beforeEach(async () => {
  elsewhere = await startUpstream((response) => {
    begin(response);
    response.end(HELLO);
  });
  location = `${elsewhere.url}/chat/completions?token=marker`;
  status = 302;
  upstream = await startUpstream(
    (response) =>
      void response.writeHead(status, { ...(location !== undefined && { location }) }).end('moved'),
  );
});

afterEach(async () => {
  await Promise.all([upstream.stop(), elsewhere.stop()]);
});

describe('a redirect', () => {
  test.each([301, 302, 303, 307, 308])('%i is not followed, and not tried again', async (given) => {
    status = given;
    const { parts, code, message } = await failureOf(modelAt(upstream.url, { retries: 2 }));
    expect(elsewhere.asked).toEqual([]);
    expect(upstream.asked).toHaveLength(1);
    expect([parts, code]).toEqual([[], 'server_error']);
    expect(message).toBe(
      `The upstream 'test' sends its callers on to ${new URL(elsewhere.url).origin} (${given}), and redirects are not ` +
        `followed. Set the baseUrl of 'test' in the config file to the address that answers itself.`,
    );
  });

  test('of the upstream that the environment names, names its variable', async () => {
    const { message } = await failureOf(modelAt(upstream.url, { upstream: { name: 'default' } }));
    expect(message).toContain(
      "Set the baseUrl of 'default' in the config file, or OPENAI_BASE_URL, to the address",
    );
  });

  test.each([
    ['to another path', '/other/?token=marker', 'another path of the same server'],
    ['to a path of names', '//else.example/marker', 'http://else.example'],
    ['to no web address', 'file:///etc/marker', 'something that is no web address'],
    ['to something that is no URL', 'http://[marker', 'something that is no web address'],
    ['to nowhere', undefined, 'nowhere in particular'],
    ['with a password', 'https://marker:marker@else.example/', 'https://else.example'],
  ])('%s says where to, and no more', async (_, to, said) => {
    location = to;
    const { message } = await failureOf(modelAt(upstream.url));
    expect(message).toContain(`sends its callers on to ${said} (302)`);
    expect(message).not.toContain('marker');
  });

  test('of the list of models is not followed, and its operator is told', async () => {
    const lines: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
    const catalog = new ModelCatalog({
      facts: NO_FACTS,
      upstreams: [upstreamAt(upstream.url, { models: ['own'] })],
      log,
    });
    expect((await catalog.list()).map(({ id }) => id)).toEqual(['own']);
    expect(elsewhere.asked).toEqual([]);
    expect(lines.join('')).toContain(`sends its callers on to ${new URL(elsewhere.url).origin} (302)`);
    expect(lines.join('')).not.toContain('marker');
  });

  test('does not end a turn that another upstream answers', async () => {
    const model = modelAt(elsewhere.url);
    const parts = [];
    for await (const part of model.stream(ask(), new AbortController().signal)) parts.push(part);
    expect(parts).toHaveLength(2);
  });
});

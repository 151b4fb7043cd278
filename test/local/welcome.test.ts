/** What `npm start` finds out about a model server, and how it says that: an address that is nearly right, above all. */
import { afterEach, expect, test } from 'vitest';
import { upstreamProblem, welcome } from '../../src/local/welcome.ts';
import { firstModel, probe } from '../../src/model/probe.ts';
import { startUpstream, upstreamAt, type TestUpstream } from '../model/upstream.ts';

const upstreams: TestUpstream[] = [];
afterEach(async () => {
  await Promise.all(upstreams.splice(0).map((upstream) => upstream.stop()));
});

/** A model server whose list of models is at `path` only. @returns its origin. */
async function serverWith(path: string | null): Promise<string> {
  const upstream = await startUpstream((response, _count, { url }) => {
    if (url === path) response.end(JSON.stringify({ data: [{ id: 'llama' }] }));
    else response.writeHead(404).end('404 page not found');
  });
  upstreams.push(upstream);
  return new URL(upstream.url).origin;
}

test.for([
  ['without /v1', ''],
  ['with a slash at its end', '/'],
  ['of a chat request', '/v1/chat/completions'],
  ['of a chat request, cut short', '/v1/chat'],
  ['of a chat request without /v1', '/chat/completions'],
] as const)('an address %s is told together with the right one', async ([, path]) => {
  const origin = await serverWith('/v1/models');
  const upstream = upstreamAt(`${origin}${path}`);
  const answer = await probe(upstream);
  expect(answer).toEqual({ type: 'elsewhere', baseUrl: `${origin}/v1` });
  expect(upstreamProblem(upstream, answer)).toBe(
    `${origin}${path.replace(/\/$/, '')}/models answers 404, but ${origin}/v1/models is there. ` +
      `Set OPENAI_BASE_URL=${origin}/v1 (or its baseUrl in the config file) and start again.`,
  );
});

test('a server without a list is used as it is, with a word on the address', async () => {
  const upstream = upstreamAt(`${await serverWith(null)}/openai/v1`, { models: ['mine'] });
  const answer = await probe(upstream);
  expect(answer).toEqual({ type: 'no list' });
  expect(firstModel(upstream, answer)).toBe('mine');
  expect(upstreamProblem(upstream, answer)).toMatch(/\/openai\/v1\/models answers 404\. If runs fail, /);
});

test('what is secret in an address is not said', () => {
  const upstream = { name: 'default', baseUrl: 'http://user:secret@127.0.0.1:1/a?key=secret' };
  const answer = { type: 'elsewhere', baseUrl: 'http://user:secret@127.0.0.1:1/a/v1?key=secret' } as const;
  expect(upstreamProblem(upstream, answer)).not.toContain('secret');
});

test('the console is named where there is one', () => {
  const about = {
    url: 'http://127.0.0.1:8080',
    key: 'none',
    model: 'demo',
    isDemo: true,
    problem: null,
    mayAnswer: true,
    workers: 1,
    logFolder: '.data/log',
  } as const;
  const line = 'In a browser, to look around: http://127.0.0.1:8080\n';
  expect(welcome({ ...about, console: true })).toContain(line);
  expect(welcome({ ...about, console: false })).not.toContain('browser');
});

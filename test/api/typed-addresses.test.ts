/** Addresses as people type them into apps and devices, and ids as they come: what is meant is found, or told missing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { meantPath } from '../../src/api/http/typed-path.ts';
import { withService } from '../support/with-service.ts';
import { Wire } from '../support/wire.ts';

const folder = mkdtempSync(join(tmpdir(), 'longrun-addresses-'));
const config = join(folder, 'longrun.config.json');
writeFileSync(
  config,
  JSON.stringify({
    devicePaths: [
      { path: '/', profile: 'glasses' },
      { path: '/chat/completions', profile: 'voice' },
      { path: '/car/chat/completions', profile: 'chat' },
    ],
  }),
);
afterAll(() => rmSync(folder, { recursive: true }));

const KEY = 'the-key';
const { service } = withService({ env: { LONGRUN_CONFIG: config, AUTH: 'key', API_KEY: KEY } });
const wire = new Wire(() => service.url, { authorization: `Bearer ${KEY}` });
const stranger = new Wire(() => service.url);
const turn = { model: 'm', messages: [{ role: 'user', content: 'Hi' }], stream: false };

describe('a chat is found at', () => {
  const paths = [
    '/',
    '//',
    '/?device=pair-1',
    '/chat/completions',
    '/chat/completions/',
    '/car/chat/completions',
    '//car//chat//completions//?a=//b',
    '/v1//chat/completions',
    '//v1/chat/completions',
    '/v1/v1/chat/completions',
    '/v1/chat/completions/chat/completions',
    '/v1/chat/completions/v1/chat/completions',
    '/car/chat/completions/chat/completions',
    '/openai//deployments/m//chat/completions?api-version=1',
    '/api/assts/v1/v1/chat/completions',
  ];
  test.each(paths)('%s', async (path) => {
    const reply = await wire.ask('POST', path, { body: turn });
    expect(reply).toMatchObject({ status: 200, body: { object: 'chat.completion' } });
    expect((await stranger.ask('POST', path, { body: turn })).status).toBe(401);
  });
});

describe('a list of models is found at', () => {
  const paths = [
    '/models',
    '/car/models',
    '//car//models',
    '/v1/models',
    '/v1/v1/models',
    '/v1/chat/completions/models',
    '/chat/completions/models',
    '/openai/models?api-version=1',
    '/openai/v1/models',
    '/api/assts/v1/models',
    '/api/projects/p/models',
  ];
  test.each(paths)('%s', async (path) => {
    expect(await wire.ask('GET', path)).toMatchObject({ status: 200, body: { object: 'list' } });
    expect((await stranger.ask('GET', path)).status).toBe(401);
  });

  test('and one model beside it', async () => {
    const { body } = await wire.ask('GET', '/models/fake-model');
    expect(body).toMatchObject({ id: 'fake-model', object: 'model' });
  });
});

test('a browser at the root sees what this is, and other methods are told what there is', async () => {
  expect(await stranger.ask('GET', '/')).toMatchObject({ status: 200, body: { name: 'longrun' } });
  const reply = await wire.ask('DELETE', '/');
  expect(reply.status).toBe(405);
  expect(reply.headers.get('allow')?.split(', ').toSorted()).toEqual(['GET', 'POST']);
});

test('a query is left as it is', async () => {
  const { body } = await wire.ask('POST', '/v1//threads', { body: { metadata: { at: 'a//b' } } });
  const reply = await wire.ask('GET', '/v1//threads?metadata[at]=a//b');
  expect(reply.body).toMatchObject({ data: [body] });
});

test('what is nowhere stays so, also for callers without a key', async () => {
  for (const path of ['/nowhere', '/v1/nowhere', '/car'])
    expect((await wire.ask('POST', path, { body: turn })).status).toBe(404);
  expect((await stranger.ask('GET', '/nowhere')).status).toBe(404);
});

test('a run for a thread without a name does not begin another thread', async () => {
  const { id: assistant_id } = await wire.ok('POST', '/v1/assistants', { model: 'm' });
  for (const path of ['/v1/threads//runs', '/v1/threads///runs/'])
    expect((await wire.ask('POST', path, { body: { assistant_id } })).status).toBe(404);
});

test('a path of any length is read in time', () => {
  const long = '/'.repeat(1_000_000);
  expect(meantPath(`/v1/threads${long}runs${long}x`)).toBe('/v1/threads/runs/x');
  expect(meantPath('/v1'.repeat(300_000))).toBe('/v1');
});

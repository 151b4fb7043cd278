/** A misspelt name of an agent: heard on the device, read in the log, and not asked of the model server. */
import { beforeAll, expect, test } from 'vitest';
import { asking, post } from '../support/chat.ts';
import { says } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

beforeAll(async () => {
  upstream.reply(() => says('hello'));
});

const { upstream, service } = withService();

test.for([
  ['/custom_agent/chat', '<nobody>'],
  ['/chat/completions', '<noone>'],
] as const)('on the device path %s it is spoken', async ([path, model]) => {
  const before = upstream.requests.length;
  for (const stream of [true, false]) {
    const answer = await post(`${service.url}${path}`, asking('hello', { model, stream }));
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain(`There is no agent named ${model.slice(1, -1)} here.`);
  }
  expect(upstream.requests.length).toBe(before);
  await service.waitForLog(({ msg }) => msg.includes(`is named '${model.slice(1, -1)}'`));
  expect(service.logs.filter(({ msg }) => msg.includes(`is named '${model.slice(1, -1)}'`))).toHaveLength(1);
});

test('elsewhere it is a 404 with a sentence', async () => {
  const answer = await post(`${service.baseUrl}/chat/completions`, asking('hello', { model: '<nowhere>' }));
  expect(answer.status).toBe(404);
  expect(await answer.text()).toContain("There is no agent named 'nowhere' here.");
});

test.each(['<fake-model>', '<friend>'])('%s is somebody', async (model) => {
  await new Wire(service.baseUrl).ok('POST', '/assistants', { model: 'm', name: 'friend' });
  const answer = await post(`${service.url}/custom_agent/chat`, asking('hello', { model }));
  expect(await answer.text()).toContain('hello');
});
